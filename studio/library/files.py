"""Writing so that a file is the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial-"
_MARK = 8
"""Letters that tell two attempts at one name apart."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Replace a file's content atomically: temporary name, flush, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:_MARK]}-{path.name}")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its name when the block ends well.

    An existing `path` is replaced only then. A block that raises leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:_MARK]}-{path.name}")
    temporary.mkdir()
    try:
        yield temporary
        sync_folder(temporary)
        if path.exists():
            old = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:_MARK]}-old-{path.name}")
            path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_entry(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush every file below the folder to the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())


def sweep_partials(folder: Path, name: str = "") -> None:
    """Delete what interrupted writes left in this folder: all of it, or what was to be `name`."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        if name and leftover.name[len(PARTIAL) + _MARK + 1 :] != name:
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def append_line(path: Path, line: bytes) -> None:
    """Append one line with one write; a line cut short before it is closed off first."""
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line + b"\n")


def read_lines(path: Path, offset: int = 0) -> tuple[list[bytes], int]:
    """The complete lines from a byte offset on, and the offset behind them."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], offset
    end = content.rfind(b"\n") + 1
    return [line for line in content[:end].split(b"\n") if line], offset + end


def _sync_entry(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
