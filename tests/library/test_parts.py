"""The list of optional parts is whole, and its pins are those that were tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from studio.core.errors import StudioError
from studio.core.parts import normal
from studio.library import parts

LOCKS = Path(__file__).resolve().parents[2] / "packaging" / "lock"
MACHINES = {"linux-x86_64", "linux-aarch64", "windows-amd64", "windows-arm64", "macos-arm64"}


def test_every_part_is_pinned_named_once_and_has_a_licence() -> None:
    every = parts.every()
    assert len({part.name for part in every}) == len(every)
    for part in every:
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in part.requirements)
        assert part.licence
        assert part.needed_for
        assert part.source.startswith("https://pypi.org/project/")
        assert set(part.download_bytes) <= MACHINES | {"any"}
        assert all(size > 0 for size in part.download_bytes.values())


def test_what_the_suite_runs_is_what_people_get() -> None:
    pins = dict(
        line.partition(" ;")[0].split("==")
        for name in ("product", "test")
        for line in (LOCKS / f"{name}.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    locked = {normal(name): version for name, version in pins.items()}
    for part in parts.every():
        if part.extract is None:
            for name, version in part.pins.items():
                assert locked.get(name) == version, f"{name} is not in the test lock"


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(StudioError, match="no part nope"):
        parts.find("nope")
