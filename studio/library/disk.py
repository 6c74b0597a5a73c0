"""How much room a disk has."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write to the disk of a folder, there already or not yet."""
    standing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(standing).free
