"""A keeper of short patience over the fake engine, and nothing of either left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.client.keeper import Keeper, quit_keeper
from studio.keeper import sweep
from studio.library.folders import Home
from tests.support.keeping import ROOT, Bench


@pytest.fixture
def bench(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Runs and chats whose engines are the fake one, and keepers to run them."""
    engine = ROOT / "tests" / "fakes" / "engine.py"
    monkeypatch.setenv("FINETUNE_STUDIO_ENGINE", f"{sys.executable} {engine}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    bench = Bench(home)
    yield bench
    quit_keeper(home)
    bench.close()
    for folder in (*home.runs.iterdir(), *home.jobs.iterdir()):
        sweep.sweep(folder)


@pytest.fixture
def keeper(bench: Bench) -> Iterator[Keeper]:
    """A client of a keeper that gives hung engines a twentieth of the usual time."""
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as client:
        yield client


@pytest.fixture
def run(bench: Bench) -> Path:
    """A run whose engine steps until it is told something."""
    return bench.run("")
