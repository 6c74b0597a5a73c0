"""Writing so that a file is the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import filecmp
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial-"
_NEW, _REPLACED = "-", "~"
_PID, _RANDOM = 8, 4
_MARK = _PID + _RANDOM
"""Letters that say who writes, and tell two attempts at one name apart."""
_WRITER = re.compile(rf"{re.escape(PARTIAL)}([0-9a-f]{{{_PID}}})[0-9a-f]{{{_RANDOM}}}[-~]")
_FORGOTTEN_SECONDS = 24 * 3600.0
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_whole(path: Path, content: bytes | str, *, private: bool = False) -> None:
    """Replace a file's content atomically: temporary name, flush, rename, flush the folder.

    `private`: readable by its owner alone, from its first byte on.
    """
    with whole_file(path, private=private) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path`, and the place of what is there, when the block
    ends well; a block that raises leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, _NEW)
    try:
        descriptor = os.open(temporary, _CREATE, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_entry(path.parent)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its name when the block ends well.

    An existing `path` is replaced only then; killed in between, `sweep_partials` puts it back.
    A block that raises leaves nothing behind.
    """
    with temporary_folder(path) as temporary:
        yield temporary
        put_in_place(temporary, path)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path`; what is left of it at the end is deleted. Of one whose writer was
    killed `sweep_abandoned` clears up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, _NEW)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(new: Path, path: Path) -> None:
    """Flush a folder that is whole and give it the name `path`, where it replaces what is there.

    Killed in between, `sweep_partials` puts that back.
    """
    sync_folder(new)
    if path.exists():
        _replace(path, new)
    else:
        new.replace(path)
    _sync_entry(path.parent)


def add_folder(
    parent: Path,
    name: str,
    write: Callable[[Path], None],
    same: Callable[[Path, Path], bool] = lambda _new, _old: False,
) -> Path:
    """A new folder that `write` fills: `parent/name`, or name-2, -3, … where that is taken.

    It appears whole or not at all, and never in the place of another, whoever else adds one.
    Where `same(new, standing)` holds of a folder that has one of those names, that one is
    returned and nothing is added.
    """
    with temporary_folder(parent / name) as temporary:
        write(temporary)
        sync_folder(temporary)
        path, number = parent / name, 2
        while not _took_name(temporary, path):
            if same(temporary, path):
                return path
            path, number = parent / f"{name}-{number}", number + 1
    _sync_entry(parent)
    return path


def remove_folder(path: Path) -> None:
    """Delete a folder so that it is there whole or gone, whenever this is broken off."""
    if not path.is_dir():
        return
    hidden = _beside(path, _NEW)
    try:
        path.replace(hidden)
    except OSError:
        hidden = path
    shutil.rmtree(hidden, ignore_errors=True)


def same_files(left: Path, right: Path, pattern: str) -> bool:
    """Whether two folders hold files of the same names and bytes under a pattern, and any."""
    names = sorted(path.name for path in left.glob(pattern))
    return bool(
        names
        and names == sorted(path.name for path in right.glob(pattern))
        and all(filecmp.cmp(left / name, right / name, shallow=False) for name in names)
    )


def sync_file(path: Path) -> None:
    """Flush what was written to a file to the disk."""
    with path.open("rb+") as opened:
        os.fsync(opened.fileno())


def sync_folder(folder: Path) -> None:
    """Flush every file and folder below this one to the disk, and its own list of names."""
    for path in folder.rglob("*"):
        if path.is_file():
            sync_file(path)
        elif path.is_dir():
            _sync_entry(path)
    _sync_entry(folder)


def sweep_partials(folder: Path, name: str = "") -> None:
    """Clear up what interrupted writes left in this folder: all of it, or what was to be `name`.

    Only for who alone writes there. What was about to be replaced and wasn't is put back.
    """
    for leftover in folder.glob(f"{PARTIAL}*"):
        if not name or leftover.name[len(PARTIAL) + _MARK + 1 :] == name:
            _sweep(leftover)


def sweep_abandoned(folder: Path) -> None:
    """The same in a folder that others write to as well: what a living process writes stays."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        with contextlib.suppress(OSError):
            if _abandoned(leftover):
                _sweep(leftover)


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


def _beside(path: Path, kind: str) -> Path:
    mark = f"{os.getpid() & 0xFFFFFFFF:0{_PID}x}{uuid.uuid4().hex[:_RANDOM]}"
    return path.with_name(f"{PARTIAL}{mark}{kind}{path.name}")


def _replace(path: Path, new: Path) -> None:
    old = _beside(path, _REPLACED)
    path.replace(old)
    try:
        new.replace(path)
    except BaseException:
        old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _took_name(temporary: Path, path: Path) -> bool:
    if path.exists():
        return False
    try:
        temporary.rename(path)
    except OSError:
        if path.exists():  # somebody was quicker
            return False
        raise
    return True


def _sweep(leftover: Path) -> None:
    behind = leftover.name[len(PARTIAL) + _MARK :]
    standing = leftover.with_name(behind[1:]) if behind[:1] == _REPLACED and behind[1:] else None
    if standing and not standing.exists():
        leftover.replace(standing)
    elif leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        leftover.unlink(missing_ok=True)


def _abandoned(leftover: Path) -> bool:
    """Whether its writer is gone. A number used again began after the last sign of the writer."""
    import psutil

    touched = leftover.stat().st_mtime
    named = _WRITER.match(leftover.name)
    if not named:
        return time.time() - touched > _FORGOTTEN_SECONDS
    try:
        writer = psutil.Process(int(named[1], 16))
        return writer.status() == psutil.STATUS_ZOMBIE or writer.create_time() > touched + 1
    except psutil.AccessDenied:
        return False
    except (psutil.NoSuchProcess, OverflowError):
        return True


def _sync_entry(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
