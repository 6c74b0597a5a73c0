"""Libraries of compiled pieces, kept in the home folder by what they were made for and by use.

Another machine may have its own in the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from studio.engine import conditions
from studio.engine.fast import compiler, pieces
from studio.library.files import add_folder, remove_folder
from studio.library.folders import Home

UNUSED_SECONDS = 30 * 24 * 3600.0


def kept(home: Home, dtype: str) -> Path | None:
    """The folder of those that were compiled for this machine before, if they are there."""
    place = place_of(home, dtype)
    return place if place.is_dir() else None


def keep(home: Home, dtype: str, write: Callable[[Path], None]) -> Path:
    """The folder of those that `write` makes, or of those that another run made meanwhile."""
    place = place_of(home, dtype)
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    return add_folder(place.parent, place.name, write, same=lambda _new, _standing: True)


def mark_used(folder: Path) -> None:
    """Whoever uses them says so now and then: that alone keeps them."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def place_of(home: Home, dtype: str) -> Path:
    """Another one for another processor, torch or text of the pieces."""
    told = hashlib.sha256()
    for module in (pieces, compiler):
        told.update(Path(str(module.__file__)).read_bytes())
    words = (torch.__version__, conditions.processor(), torch.backends.cpu.get_cpu_capability())
    told.update("|".join(words).encode())
    return home.cache / "compiled" / f"{dtype}-{told.hexdigest()[:16]}"


def _sweep(parent: Path) -> None:
    """Those of an older studio or torch go, and what killed compilers left. Whose processor is
    another may still be at work on that machine, so age alone decides."""
    for folder in parent.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
                remove_folder(folder)
