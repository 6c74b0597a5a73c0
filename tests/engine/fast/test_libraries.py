"""Libraries are kept by use: what nobody used for long goes, whosever it was."""

from __future__ import annotations

import os
import time
from pathlib import Path

from studio.engine.fast import libraries
from studio.library.folders import Home

FORMAT = "bfloat16"


def write(folder: Path) -> None:
    (folder / "norm-bfloat16.so").write_bytes(b"code")


def aged(folder: Path, seconds: float) -> Path:
    """A folder with a file, last used so long ago."""
    folder.mkdir(parents=True)
    write(folder)
    os.utime(folder, (time.time() - seconds,) * 2)
    return folder


def test_what_was_unused_for_long_goes_when_new_ones_are_made(home: Home) -> None:
    compiled = libraries.place_of(home, FORMAT).parent
    unused, killed = libraries.UNUSED_SECONDS + 60, ".partial-0000000fabcd-bfloat16-c"
    for name in ("bfloat16-a", killed):
        aged(compiled / name, unused)
    aged(compiled / "float32-another-processor", libraries.UNUSED_SECONDS - 60)
    libraries.mark_used(aged(compiled / "bfloat16-still-used", unused))

    place = libraries.keep(home, FORMAT, write)
    left = {folder.name for folder in compiled.iterdir()}
    assert left == {place.name, "float32-another-processor", "bfloat16-still-used"}
    assert libraries.kept(home, FORMAT) == place


def test_of_two_runs_at_once_the_libraries_of_the_first_stay(home: Home) -> None:
    def slower(folder: Path) -> None:
        libraries.keep(home, FORMAT, write)
        (folder / "norm-bfloat16.so").write_bytes(b"the same code, later")

    place = libraries.keep(home, FORMAT, slower)
    assert [path.read_bytes() for path in place.iterdir()] == [b"code"]
    assert [folder.name for folder in place.parent.iterdir()] == [place.name]


def test_marking_what_is_gone_says_nothing(home: Home) -> None:
    libraries.mark_used(home.cache / "compiled" / "gone")
