"""What was exported, and how it was judged: numbers and examples, kept in the studio's folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.core.passport import FILE, Example, Passport
from studio.library import adapter_files, adapters, formats
from studio.library.adapters import AdapterFacts, Made
from studio.library.files import PARTIAL, add_folder, write_whole
from studio.library.folders import Home, legal_name

RECORD, EXAMPLES = "export.json", "examples.json"


class ExportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One export; `kind` is its format. `adapter` and `model` are the folders that it was made of,
    `base` which of two it was built on and `base_losses` what both came to, for QLoRA; `out` where
    it was written, which nobody watches; `record` the folder this was read from, "" where only
    the adapter's own history knows of it. `told` is the grade in that history, for when the
    passport is gone with its folder."""

    kind: str
    out: str
    model: str
    adapter: str = ""
    base: str = ""
    base_losses: dict[str, float] = {}
    name: str = ""
    dtype: str = ""
    quantization: str = ""
    bytes: int = 0
    seconds: float = 0.0
    created_at: float = 0.0
    passport: Passport | None = None
    record: str = ""
    told: str = ""

    @property
    def grade(self) -> str:
        """pass or fail; "" where it wasn't checked."""
        return self.passport.grade if self.passport else self.told

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


def of_adapter(home: Home, known: AdapterFacts) -> list[ExportFacts]:
    """Everything that was made of an adapter, the latest first: what is recorded here, and what
    only its own history tells, with the passport that lies in the folder."""
    return _with_unrecorded(listing(home, known.path), [known])


def every(home: Home) -> list[ExportFacts]:
    """The same of all adapters, and what was made of models as they are."""
    return _with_unrecorded(listing(home), adapters.listing(home))


def _with_unrecorded(kept: list[ExportFacts], known: Sequence[AdapterFacts]) -> list[ExportFacts]:
    recorded = {(each.adapter, each.out) for each in kept}
    others = [
        _unrecorded(facts, made)
        for facts in known
        for made in facts.made
        if (facts.path, made.path) not in recorded
    ]
    return sorted([*kept, *others], key=lambda each: -each.created_at)


def find(home: Home, text: str) -> ExportFacts:
    """The latest export of this folder or name, recorded or known to an adapter's history.

    Raises StudioError where there is none.
    """
    there = every(home)
    for named in (lambda one: one.out, lambda one: Path(one.out).name):
        for each in there:
            if named(each) in (text, str(Path(text).absolute())):
                return each
    names = ", ".join(Path(each.out).name for each in there[:5]) or "none yet"
    raise StudioError(
        "No such export",
        f"Nothing is known of an export {text or 'without a name'}.",
        f"Exports: {names}. See finetune-studio export list.",
    )


def examples(known: ExportFacts) -> tuple[Example, ...]:
    """The examples of an export, the worst first; none where they can't be read."""
    if not known.record:
        return ()
    try:
        content: Any = (Path(known.record) / EXAMPLES).read_bytes()
        return msgspec.json.decode(content, type=tuple[Example, ...])
    except (OSError, ValueError):
        return ()


def passport_in(folder: Path) -> Passport | None:
    """The passport that lies in an export; None where there is none that can be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Passport)
    except (OSError, ValueError):
        return None


def _unrecorded(known: AdapterFacts, made: Made) -> ExportFacts:
    folder = Path(made.path)
    return ExportFacts(
        kind=made.format or "safetensors",
        out=made.path,
        model=known.base,
        adapter=known.path,
        name=known.name,
        bytes=adapter_files.size(folder) if folder.is_dir() else 0,
        created_at=made.time,
        passport=passport_in(folder),
        told=made.grade,
    )


def _read(folder: Path) -> ExportFacts:
    content = (folder / RECORD).read_bytes()
    known = formats.decode("export", content, ExportFacts, f"The export {folder.name}")
    return msgspec.structs.replace(known, record=str(folder))
