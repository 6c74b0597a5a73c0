"""What files hold, as digests; a file is read again unless it surely is as it was."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
import time
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import studio
from studio.preparer.progress import Tell, silent

YOUNG_NS = 60 * 10**9
"""Within this of its last change a file may change again without its times saying so: their steps
are coarse, and those of a file that is mapped into memory lag behind."""
_BLOCK = 1 << 20
_TEXTS = (".json", ".jinja", ".txt", ".model")
_LIBRARIES = ("jinja2", "msgspec", "numpy", "pyarrow", "tokenizers")
now = time.time_ns


class Identity(NamedTuple):
    """What the system says of a file; none of it stays the same when somebody writes to it."""

    size: int
    modified: int
    changed: int
    number: int
    device: int

    @property
    def settled(self) -> bool:
        """Whether a change from now on would show. Windows has no time of change that
        nobody can set."""
        last = max(self.modified, self.changed)
        return sys.platform != "win32" and now() - last > YOUNG_NS


def identity(path: Path | int) -> Identity:
    """Of a file by its path or descriptor; raises OSError."""
    about = os.fstat(path) if isinstance(path, int) else path.stat()
    return Identity(about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_dev)


def of_file(path: Path, tell: Tell = silent) -> str:
    """The digest of a file's content; raises OSError."""
    known = _known.get(path)
    if known and known[0] == identity(path):
        return known[1]
    made = blake2b(digest_size=32)
    with path.open("rb", buffering=0) as file:
        before = identity(file.fileno())
        settled = before.settled
        while block := file.read(_BLOCK):
            made.update(block)
            tell(f"Checking {path.name}", min(1.0, file.tell() / max(1, before.size)))
        if settled and identity(file.fileno()) == before:
            _known[path] = before, made.hexdigest()
    return made.hexdigest()


_known: dict[Path, tuple[Identity, str]] = {}


def of_model(folder: Path) -> str:
    """The digest of all files of a model folder that say how texts become tokens."""
    return of_texts(*(f"{path.name}={of_file(path)}" for path in files_of_model(folder)))


def files_of_model(folder: Path) -> list[Path]:
    """Those files, in their order."""
    found = (*folder.glob("*"), *folder.glob("chat_templates/*"))
    return sorted(path for path in found if path.suffix in _TEXTS and path.is_file())


def of_texts(*texts: str) -> str:
    """One digest of several texts in their order."""
    made = blake2b(digest_size=20)
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        made.update(len(content).to_bytes(8, "little") + content)
    return made.hexdigest()


@functools.cache
def of_code() -> str:
    """The digest of all that turns files into tokens; nothing where the code can't be seen."""
    root = Path(studio.__file__).parent
    files = sorted(f for name in ("core", "library", "preparer") for f in root.glob(f"{name}/*.py"))
    if not files:
        return ""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    return of_texts(sys.version, *versions, *(f"{f.name}={of_file(f)}" for f in files))
