"""What is installed in an environment, and whether it is whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

# A truncated one of these is found at once; the rest is looked at only when repairing.
LIBRARIES = (".so", ".pyd", ".dll", ".dylib")


def site_packages(venv: Path) -> Path:
    """The folder that holds the packages; it may not exist yet."""
    found = sorted(venv.glob("lib/python3*/site-packages"))
    return found[-1] if found else venv / "Lib" / "site-packages"


def installed(site: Path) -> dict[str, str]:
    """Name (normalised) to version, from the folders that installers leave."""
    folders = (folder.name.removesuffix(".dist-info") for folder in site.glob("*.dist-info"))
    return {normal(name): version for name, _, version in (f.partition("-") for f in folders)}


def damaged(site: Path) -> list[str]:
    """Names of the packages with a file missing or of another size than was installed."""
    return [
        normal(folder.name.partition("-")[0])
        for folder in sorted(site.glob("*.dist-info"))
        if not _whole(site, folder)
    ]


def snapshot(site: Path) -> dict[str, int]:
    """Paths and sizes of a few files of each package: enough to notice damage in a blink."""
    seen: dict[str, int] = {}
    for folder in sorted(site.glob("*.dist-info")):
        seen[f"{folder.name}/RECORD"] = _size(folder / "RECORD")
        for path, size in _record(folder):
            first_level = path.count("/") <= 1 and path.endswith((".py", ".pth", "/METADATA"))
            if first_level or path.endswith(LIBRARIES):
                seen[path] = size
    return seen


def matches(site: Path, seen: dict[str, int]) -> bool:
    """Whether the files of a snapshot are still there, in their sizes."""
    return bool(seen) and all(_size(site / path) == size for path, size in seen.items())


def sweep(site: Path) -> None:
    """Delete what an installer leaves when it is killed: half-removed (~name) packages, and
    the mark of a package (dist-info) that never got its list of files."""
    for folder in [*site.glob("~*"), *site.glob("*.dist-info")]:
        if folder.name.startswith("~") or not (folder / "RECORD").exists():
            shutil.rmtree(folder, ignore_errors=True)


def normal(name: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _whole(site: Path, folder: Path) -> bool:
    return (folder / "RECORD").exists() and all(
        _size(site / path) == size for path, size in _record(folder)
    )


def _record(folder: Path) -> Iterator[tuple[str, int]]:
    """Path and size of each file a package installed; compiled files come and go."""
    record = folder / "RECORD"
    for line in record.read_text("utf-8").splitlines() if record.exists() else ():
        path, _, size = line.rsplit(",", 2)
        if size and not path.endswith(".pyc"):
            yield path.strip('"'), int(size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
