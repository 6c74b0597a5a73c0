"""After an update: the old keeper makes way, its training goes on, a newer one is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import studio
from studio.client.connection import is_running
from studio.client.keeper import Keeper
from studio.core import events
from studio.core.commands import Stop
from studio.core.errors import StudioError
from studio.library import jobs, locks, rendezvous
from tests.support.keeping import Bench, Ear, gone, wait

OF_ANOTHER_VERSION = """
import sys
import studio
studio.__version__ = sys.argv[1]
from studio.core import wire
{words}
from studio.keeper.__main__ import main
main(sys.argv[2:])
"""
# a keeper that pushes what no other version knows, before it answers anything
STRANGE_WORDS = """
import msgspec
from studio.keeper.visitor import Visitor
class Dreamt(wire.Answer, frozen=True, kw_only=True):
    of: str
push_jobs = Visitor.push_jobs
def strange(self, rows):
    self._send(Dreamt(of="sheep"))
    push_jobs(self, rows)
Visitor.push_jobs = strange
"""


def start_keeper(bench: Bench, version: str, words: str = "") -> int:
    """A keeper of this version; its process, once it can be reached."""
    code = OF_ANOTHER_VERSION.format(words=words)
    options = ("--home", str(bench.home.root), "--patience", "0.05")
    before = rendezvous.read_door(bench.home)
    bench.spawn("-c", code, version, *options)
    wait(lambda: rendezvous.read_door(bench.home) not in (None, before))
    return locks.holder(rendezvous.lock_file(bench.home)) or 0


def events_of(folder: Path, kind: type[events.Event]) -> list[events.AnyEvent]:
    return [event for event in jobs.read_events(folder)[0] if isinstance(event, kind)]


@pytest.mark.parametrize("words", ["", STRANGE_WORDS], ids=["known", "strange"])
def test_an_older_keeper_hands_its_training_over(bench: Bench, words: str) -> None:
    old = start_keeper(bench, "0.0.9", words)
    run = bench.run("")
    with Keeper.connect(bench.home, start=False) as keeper:
        assert keeper.welcome.version == studio.__version__
        assert keeper.welcome.pid != old
        wait(lambda: gone(old))
        keeper.start(run)
        Ear(keeper, run).until(events.Step)


def test_the_training_of_an_older_keeper_goes_on_under_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = start_keeper(bench, "0.0.9")
    run = bench.run("")
    with monkeypatch.context() as patched:
        patched.setattr(studio, "__version__", "0.0.9")
        with Keeper.connect(bench.home) as older_window:
            older_window.start(run)
            Ear(older_window, run).until(events.Step)
    with Keeper.connect(bench.home) as keeper:
        assert keeper.welcome.version == studio.__version__
        wait(lambda: gone(old))
        assert [row.folder for row in keeper.jobs()] == [str(run)]
        steps = len(events_of(run, events.Step))
        wait(lambda: len(events_of(run, events.Step)) > steps)
        ear = Ear(keeper, run)
        keeper.tell(run, Stop())
        ear.to_end()
    assert len(events_of(run, events.Started)) == 1, "one engine from its first step to its last"
    assert len(events_of(run, events.Ended)) == 1


def test_an_older_window_that_talks_is_not_cut_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = start_keeper(bench, "0.0.9")
    chat = bench.chat()
    with monkeypatch.context() as patched:
        patched.setattr(studio, "__version__", "0.0.9")
        older_window = Keeper.connect(bench.home)
    with older_window:
        older_window.start(chat)
        Ear(older_window, chat).until(events.Started)
        with pytest.raises(StudioError, match="older studio is still open") as refused:
            Keeper.connect(bench.home)
        assert "Close the older window" in refused.value.fix
        assert [row.folder for row in older_window.jobs()] == [str(chat)]
    assert not gone(old)


@pytest.mark.parametrize("words", ["", STRANGE_WORDS], ids=["known", "strange"])
def test_a_newer_keeper_is_left_alone(bench: Bench, words: str) -> None:
    newer = start_keeper(bench, "99.0", words)
    with pytest.raises(StudioError, match="newer studio") as refused:
        Keeper.connect(bench.home)
    assert "99.0" in refused.value.text
    assert studio.__version__ in refused.value.text
    assert not gone(newer)
    assert is_running(bench.home)
