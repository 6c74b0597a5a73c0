"""Data files as streams of bytes, packed or not, that no archive can make endless."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from studio.core.errors import StudioError
from studio.preparer.messages import printable

FREE_BYTES = 64 << 20
"""Unpacked bytes up to which any ratio is believed."""
HIGHEST_RATIO = 250
MOST_MEMBERS = 100_000
_BLOCK = 1 << 20

_MAGIC = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"(\xb5/\xfd": "zstandard",
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip",
}  # fmt: skip
SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
_DAMAGE = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException,
    RuntimeError, NotImplementedError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class DataFile:
    """One file of rows: a file on the disk, or a `member` of a zip archive.

    `label` is what a person is told, where the file's own name says too little.
    """

    path: Path
    member: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        inside = f"{self.path.name}/{self.member}" if self.member else self.path.name
        return printable(self.label or inside)

    @property
    def suffix(self) -> str:
        """The lower-case ending that says what is inside: “.json” also of “a.json.gz”."""
        path = Path((self.member or self.path.name).casefold())
        return Path(path.stem).suffix if path.suffix in SUFFIXES else path.suffix


class Stream(io.RawIOBase):
    """The unpacked bytes of a file. Damage and bombs raise StudioError."""

    def __init__(
        self, file: DataFile, inner: BinaryIO, packing: str, taken: Callable[[], int], size: int
    ) -> None:
        self.packing = packing
        self._file, self._inner, self._taken = file, inner, taken
        self._size = max(1, size)
        self._count = 0

    def readable(self) -> bool:
        return True

    def share(self) -> float:
        """How much of the file on the disk has been read, from 0 to 1."""
        return min(1.0, self._taken() / self._size)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            piece = self._inner.read(min(len(view), _BLOCK))
        except _DAMAGE as error:
            if not self.packing:
                raise
            raise _damaged(self._file, self._count, error) from error
        view[: len(piece)] = piece
        self._count += len(piece)
        if self._count > FREE_BYTES and self._count > HIGHEST_RATIO * max(1, self._taken()):
            raise _bomb(self._file, self._count)
        return len(piece)

    def tell(self) -> int:
        return self._count


def packing(path: Path) -> str:
    """gzip, bzip2, xz, zstandard or zip, by the first bytes; nothing for plain files."""
    with path.open("rb") as file:
        start = file.read(8)
    found = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")
    return "" if found == "bzip2" and not start[3:4].isdigit() else found


@contextlib.contextmanager
def opened(file: DataFile) -> Iterator[Stream]:
    """The bytes of a file as they are inside; OSError where it can't be opened."""
    kind = packing(file.path)
    with contextlib.ExitStack() as stack:
        if kind == "zip":
            yield stack.enter_context(_member(file))
            return
        raw: BinaryIO = stack.enter_context(file.path.open("rb"))
        inner: Any = raw
        if kind:
            inner = stack.enter_context(contextlib.closing(_unpacker(kind, raw)))
        yield Stream(file, inner, kind, raw.tell, file.path.stat().st_size)


def head(file: DataFile, count: int) -> bytes:
    """The first bytes of what is inside."""
    with opened(file) as stream, io.BufferedReader(stream) as buffered:
        return buffered.read(count)


@contextlib.contextmanager
def on_disk(file: DataFile) -> Iterator[Path]:
    """A path at which the unpacked file lies; what had to be unpacked for it is deleted again."""
    if not packing(file.path):
        yield file.path
        return
    with tempfile.TemporaryDirectory(prefix="studio-unpacked-", ignore_cleanup_errors=True) as room:
        target = Path(room) / "data"
        with opened(file) as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out, _BLOCK)
        yield target


def members(path: Path) -> list[str]:
    """The files in a zip archive, by their names in it, sorted."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except _DAMAGE as error:
        raise _damaged(DataFile(path), 0, error) from error
    if len(found) > MOST_MEMBERS:
        raise StudioError(
            "Archive is too large",
            f"“{path.name}” holds {len(found)} files.",
            f"Unpack it and choose a folder with {MOST_MEMBERS} files at most.",
        )
    return found


@contextlib.contextmanager
def _member(file: DataFile) -> Iterator[Stream]:
    try:
        archive = zipfile.ZipFile(file.path)
    except _DAMAGE as error:
        raise _damaged(file, 0, error) from error
    with archive:
        try:
            info = archive.getinfo(file.member)
            inner: Any = archive.open(info)
        except (*_DAMAGE, KeyError) as error:
            raise _damaged(file, 0, error) from error
        with inner:
            size, packed = max(1, info.file_size), max(1, info.compress_size)
            made = Stream(file, inner, "zip", lambda: made.tell() * packed // size, packed)
            yield made


def _unpacker(kind: str, raw: BinaryIO) -> Any:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if kind == "bzip2":
        return bz2.BZ2File(raw)
    if kind == "xz":
        return lzma.LZMAFile(raw)
    return pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")


def _damaged(file: DataFile, count: int, error: BaseException) -> StudioError:
    if "encrypted" in str(error) or "password" in str(error):
        return StudioError(
            "Archive has a password",
            f"“{file.name}” is encrypted.",
            "Unpack it yourself and choose what was in it.",
        )
    early = isinstance(error, EOFError) or "ended before" in str(error) or "truncated" in str(error)
    why = "it ends too early" if early else str(error).split("\n")[0].rstrip(".") or "it is damaged"
    return StudioError(
        "Packed file is damaged",
        f"“{file.name}” can't be unpacked beyond {count / 1e6:.1f} MB: {why}.",
        "Download or pack it again.",
    )


def _bomb(file: DataFile, count: int) -> StudioError:
    return StudioError(
        "Archive unpacks without end",
        f"“{file.name}” has become {count / 1e6:.0f} MB, over {HIGHEST_RATIO} times its size; "
        "no dataset packs so well.",
        "If it is meant to be so, unpack it yourself and choose what was in it.",
    )
