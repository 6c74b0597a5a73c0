"""Where a new folder may be written: somewhere empty, outside of what is already something."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from studio.core.errors import StudioError
from studio.library.files import PARTIAL

SLACK_BYTES = 64 * 2**20
"""Left free on the disk beyond what is written."""

MARKS = {
    "config.json": "a model",
    "adapter_config.json": "an adapter",
    "events.jsonl": "a run",
    "dataset_info.json": "a dataset",
    "dataset_dict.json": "a dataset",
}
"""The file that makes a folder what it is."""


def check_new_folder(
    out: Path, needed_bytes: int = 0, taken: Mapping[Path, str] | None = None
) -> Path:
    """The absolute path of a folder to be made; nothing is made yet.

    `taken` are further folders that nothing may be written into, and what each is. Raises
    StudioError when it exists and isn't empty, lies inside a model, adapter, dataset or run, can't
    be written, or when the disk has less than `needed_bytes` left.
    """
    path = out.expanduser().absolute()
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise StudioError(
            "The folder is taken",
            f"{path} exists and is not empty.",
            "Name a folder that doesn't exist yet, or an empty one.",
        )
    real = path.resolve()
    for folder in (real, *real.parents):
        if what := _what_is(folder) or (taken or {}).get(folder):
            raise StudioError(
                f"Inside {what}",
                f"{path} lies inside {what} ({folder}).",
                "Name a folder outside of it.",
            )
    parent = next(folder for folder in path.parents if folder.exists())
    _check_writable(parent)
    check_space(parent, needed_bytes)
    return path


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raise StudioError when the disk of this folder can't take that much."""
    free = shutil.disk_usage(folder).free
    if needed_bytes and free < needed_bytes + SLACK_BYTES:
        raise StudioError(
            "Disk is full",
            f"This needs {_size(needed_bytes)}, and {folder} has {_size(free)} left.",
            "Free some space or choose a folder on another disk.",
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _what_is(folder: Path) -> str | None:
    return next((what for name, what in MARKS.items() if (folder / name).is_file()), None)


def _check_writable(parent: Path) -> None:
    probe = parent / f"{PARTIAL}{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise StudioError(
            "Disk is full" if full else "Folder is not writable",
            f"Nothing can be written into {parent} ({error.strerror or error}).",
            "Free some space." if full else "Choose another folder, or make this one writable.",
        ) from error
