"""What was exported, and how it was judged: numbers and examples, kept in the studio's folder."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.core.passport import Example, Passport
from studio.library import formats
from studio.library.files import PARTIAL, add_folder, write_whole
from studio.library.folders import Home, legal_name

RECORD, EXAMPLES = "export.json", "examples.json"


class ExportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One export; `kind` is its format. `adapter` and `model` are the folders that it was made of,
    `out` where it was written, which nobody watches; `record` the folder this was read from."""

    kind: str
    out: str
    model: str
    adapter: str = ""
    name: str = ""
    dtype: str = ""
    quantization: str = ""
    bytes: int = 0
    seconds: float = 0.0
    created_at: float = 0.0
    passport: Passport | None = None
    record: str = ""

    @property
    def there(self) -> bool:
        """Whether what was exported is still where it was written to."""
        return Path(self.out).exists()


def add(home: Home, known: ExportFacts, examples: tuple[Example, ...] = ()) -> Path:
    """Keep what is known of an export, with the examples that never leave this machine."""
    stamped = msgspec.structs.replace(known, created_at=known.created_at or time.time(), record="")

    def write(folder: Path) -> None:
        write_whole(folder / RECORD, formats.encode("export", stamped))
        write_whole(folder / EXAMPLES, msgspec.json.format(msgspec.json.encode(examples)))

    return add_folder(home.exports, legal_name(Path(known.out).name, "export"), write)


def listing(home: Home, adapter: str = "") -> list[ExportFacts]:
    """Every export, or those of the adapter in this folder, the latest first."""
    if not home.exports.is_dir():
        return []
    found = []
    for folder in home.exports.iterdir():
        if not folder.name.startswith(PARTIAL):
            with contextlib.suppress(OSError, ValueError, StudioError):
                found.append(_read(folder))
    wanted = [each for each in found if not adapter or each.adapter == adapter]
    return sorted(wanted, key=lambda each: -each.created_at)


def examples(record: Path) -> tuple[Example, ...]:
    """The examples of an export, the worst first; none where they can't be read."""
    try:
        content: Any = (record / EXAMPLES).read_bytes()
        return msgspec.json.decode(content, type=tuple[Example, ...])
    except (OSError, ValueError):
        return ()


def _read(folder: Path) -> ExportFacts:
    content = (folder / RECORD).read_bytes()
    known = formats.decode("export", content, ExportFacts, f"The export {folder.name}")
    return msgspec.structs.replace(known, record=str(folder))
