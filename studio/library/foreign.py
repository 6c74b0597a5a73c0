"""Files that anybody may have written: their JSON, and links among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 64 * 2**20
"""Of one file: an index of a very large model has a few megabytes."""


def parse(content: bytes | str) -> Any:
    """The value; ValueError where it can't be read, also for one nested beyond all reason."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read(path: Path, most: int = MOST_BYTES) -> Any:
    """The value in a file. Raises OSError or ValueError."""
    if path.stat().st_size > most:
        raise ValueError("it is too large")
    return parse(path.read_text(encoding="utf-8-sig"))


def stays(file: Path) -> bool:
    """Whether a file lies where its folder says, or where the hub's cache keeps it. Any other link
    may lead to what nobody wanted to hand on."""
    real, folder = file.resolve(), file.parent.resolve()
    return real.parent in (folder, folder.parent.parent / "blobs")
