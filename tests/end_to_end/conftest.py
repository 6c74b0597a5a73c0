"""A screen, and the studio on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.library.folders import Home
from tests.end_to_end import driver, left
from tests.end_to_end.screen import NEEDED, Screen, screen


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """An X server with a window manager, of this test session's own."""
    lacking = [program for program in NEEDED if shutil.which(program) is None]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} on this machine")
    with screen(tmp_path_factory.mktemp("screen")) as made:
        yield made


@pytest.fixture
def window(
    display: Screen, home: Home, tiny_model: Path, tmp_path: Path
) -> Iterator[driver.Window]:
    """The studio, opened on a fresh home with one small model in it."""
    shutil.copytree(tiny_model, home.models / "Tiny")
    try:
        with driver.opened(display, home, tmp_path) as opened:
            yield opened
    finally:
        left.end_all(home.root)
