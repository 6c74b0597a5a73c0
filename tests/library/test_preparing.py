"""A run whose rows are being prepared: it is whole afterwards, or nothing is left of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.client.keeper import Keeper
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import runs
from studio.library.folders import Home, JobFolder
from tests.support.keeping import ROOT, Bench

RECIPE = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))
PREPARES = """
import sys
from pathlib import Path
from studio.library import runs
with runs.preparing(Path(sys.argv[1])):
    print("at it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(home: Home) -> Path:
    return runs.create(home, RECIPE)


@pytest.fixture
def client(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody in the middle of preparing the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARES, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"at it"
    yield process
    process.kill()
    process.communicate()


def test_a_run_in_the_making_is_left_alone(
    home: Home, folder: Path, client: subprocess.Popen[bytes]
) -> None:
    runs.sweep_unprepared(home)
    assert JobFolder(folder).recipe.is_file()


def test_a_killed_client_leaves_nothing_for_long(
    home: Home, folder: Path, client: subprocess.Popen[bytes]
) -> None:
    client.kill()
    client.wait()
    assert folder.is_dir()
    runs.sweep_unprepared(home)
    assert list(home.runs.iterdir()) == []


def test_a_keeper_clears_it_away(
    bench: Bench, folder: Path, client: subprocess.Popen[bytes]
) -> None:
    client.kill()
    client.wait()
    other = bench.run("")
    with Keeper.connect(bench.home):
        assert [row.path for row in runs.listing(bench.home)] == [other]


def test_a_killed_client_that_had_its_rows_leaves_a_run(
    home: Home, folder: Path, client: subprocess.Popen[bytes]
) -> None:
    manifest = JobFolder(folder).manifest
    manifest.parent.mkdir()
    manifest.write_text("{}", "utf-8")
    client.kill()
    client.wait()
    runs.sweep_unprepared(home)
    assert runs.startable(folder).state == "created"


def test_a_run_that_nobody_began_to_prepare_stays(home: Home, folder: Path) -> None:
    runs.sweep_unprepared(home)
    assert folder.is_dir()


def test_what_fails_leaves_nothing_and_what_ends_well_no_lock(home: Home, folder: Path) -> None:
    failing = runs.create(home, RECIPE)
    with pytest.raises(KeyboardInterrupt), runs.preparing(failing):
        raise KeyboardInterrupt
    assert list(home.runs.iterdir()) == [folder]
    with runs.preparing(folder):
        assert JobFolder(folder).preparing.exists()
    assert not JobFolder(folder).preparing.exists()
