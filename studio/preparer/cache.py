"""Folders kept by a key until room is needed: whole or absent, and checked before they are used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from studio.library.files import add_folder, remove_folder, sweep_abandoned
from studio.preparer import digests
from studio.preparer.progress import Tell, silent

MOST_BYTES = 8 << 30
_SUMS = "sums.json"


class Cache:
    """Entries of a folder, of which the least recently used go when they take too much room.

    Several processes may use one at a time. It never raises OSError: what can't be kept isn't.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most = most_bytes

    def find(self, key: str, tell: Tell = silent) -> Path | None:
        """The folder kept by this key, if every byte of it is as it was written."""
        entry = self._folder / key
        try:
            if _is_whole(entry, tell):
                os.utime(entry)
                return entry
        except FileNotFoundError:
            if not entry.exists():
                return None
        except (OSError, msgspec.MsgspecError):
            pass
        remove_folder(entry)
        return None

    def keep(self, key: str, write: Callable[[Path], None], tell: Tell = silent) -> None:
        """Keep what `write` puts into a folder; nothing where the key is known or it can't."""

        def whole(folder: Path) -> None:
            write(folder)
            sums = {path.name: digests.of_file(path, tell) for path in sorted(folder.iterdir())}
            (folder / _SUMS).write_bytes(msgspec.json.encode(sums))

        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            sweep_abandoned(self._folder)
            add_folder(self._folder, key, whole, same=lambda _new, _standing: True)
            self._make_room(key)

    def _make_room(self, newest: str) -> None:
        entries = sorted(self._entries(), key=lambda entry: entry.stat().st_mtime_ns)
        sizes = [sum(file.stat().st_size for file in entry.iterdir()) for entry in entries]
        total = sum(sizes)
        for entry, size in zip(entries, sizes, strict=True):
            if total <= self._most or entry.name == newest:
                return
            remove_folder(entry)
            total -= size

    def _entries(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if path.name[0] != "." and path.is_dir())


def _is_whole(entry: Path, tell: Tell) -> bool:
    sums = msgspec.json.decode((entry / _SUMS).read_bytes(), type=dict[str, str])
    return all(digests.of_file(entry / name, tell) == told for name, told in sums.items())
