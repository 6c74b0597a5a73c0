"""Where a new folder may be written: somewhere empty, outside of what is already something."""

from __future__ import annotations

import errno
import shutil
import uuid
from pathlib import Path

from studio.core.errors import StudioError
from studio.library.files import PARTIAL

SLACK_BYTES = 64 * 2**20
"""Left free on the disk beyond what is written."""


def check_new_folder(out: Path, needed_bytes: int = 0) -> Path:
    """The absolute path of a folder to be made, its parent there and writable.

    Raises StudioError when it exists and isn't empty, lies inside a model, an adapter or a run,
    can't be written, or when the disk has less than `needed_bytes` left.
    """
    path = out.expanduser().absolute()
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise StudioError(
            "Target exists",
            f"{path} already exists and isn't empty.",
            "Choose a folder that doesn't exist yet.",
        )
    for above in (path, *path.parents):
        if kind := _something(above):
            raise StudioError(
                "Target inside a " + kind,
                f"{path} lies inside the {kind} {above.name}.",
                "Choose a folder outside of it.",
            )
    _check_writable(path.parent)
    check_space(path.parent, needed_bytes)
    return path


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raise StudioError when the disk of this folder can't take that much."""
    free = shutil.disk_usage(folder).free
    if needed_bytes and free < needed_bytes + SLACK_BYTES:
        raise StudioError(
            "Disk is full",
            f"This needs {needed_bytes / 1e9:.2f} GB, and {folder} has {free / 1e9:.2f} GB left.",
            "Free some space or choose a folder on another disk.",
        )


def _something(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        return "model"
    return "run" if (folder / "events.jsonl").is_file() else ""


def _check_writable(parent: Path) -> None:
    probe = parent / f"{PARTIAL}{uuid.uuid4().hex[:8]}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise StudioError(
            "Disk is full" if full else "Folder is not writable",
            f"{parent} can't be written to ({error.strerror or error}).",
            "Free some space." if full else "Choose a folder that belongs to you.",
        ) from error
