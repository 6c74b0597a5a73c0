"""What a newer studio left in the home: the keeper neither ends, starts nor clears it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.client.keeper import Keeper
from studio.core import events
from studio.core.commands import Train
from studio.core.errors import StudioError
from studio.core.upgrades import FORMATS
from studio.library.locks import Lock
from tests.support.keeping import Bench

LONG_AGO = 1_600_000_000.0


def make_newer(folder: Path, *more: events.AnyEvent) -> Path:
    """The folder as a newer studio would have begun it, long ago."""
    made = events.Created(kind="train", format=FORMATS["run"] + 1, time=1.0)
    started = events.Started(pid=1, total_steps=9)
    lines = b"".join(events.encode(event) + b"\n" for event in (made, started, *more))
    (folder / "events.jsonl").write_bytes(lines)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_is_as_it_was_after_a_keeper(bench: Bench) -> None:
    run, chat = make_newer(bench.run("")), make_newer(bench.chat())
    before = contents(run), contents(chat)
    with Keeper.connect(bench.home) as keeper:
        with pytest.raises(StudioError, match="newer version"):
            keeper.start(run, Train(resume=True))
        assert keeper.jobs() == []
    assert (contents(run), contents(chat)) == before


def test_its_engine_is_not_taken_over(bench: Bench) -> None:
    run = make_newer(bench.run(""))
    lock = Lock(run / "engine.lock")
    assert lock.acquire()
    try:
        before = contents(run)
        with Keeper.connect(bench.home) as keeper:
            assert keeper.jobs() == []
            with pytest.raises(StudioError, match="newer version"):
                keeper.start(run)
        assert contents(run) == before
    finally:
        lock.release()
