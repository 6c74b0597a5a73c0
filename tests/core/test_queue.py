"""The queue's rules: whatever is done to it, no run is in it twice or gets lost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from studio.core import events, queue
from studio.core.guard import REASONS
from studio.core.queue import Queue
from studio.core.run_state import RunState, replay

NAMES = ["a", "b", "c", "d", "e"]
names = st.sampled_from(NAMES)
waiting = st.lists(names, unique=True).map(tuple)


@given(waiting, names, st.none() | st.integers(-3, 9))
def test_adding_puts_it_there_once(runs: tuple[str, ...], name: str, at: int | None) -> None:
    after = queue.added(Queue(waiting=runs), name, at).waiting
    rest = [each for each in runs if each != name]
    assert after.count(name) == 1
    assert [each for each in after if each != name] == rest
    wanted = len(rest) if at is None else min(max(at, 0), len(rest))
    assert after.index(name) == wanted


class Used(RuleBasedStateMachine):
    """A queue beside the plainest model of one: a list, and who is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.waiting: list[str] = []
        self.at_work = ""

    @rule(name=names, at=st.none() | st.integers(0, 5))
    def add(self, name: str, at: int | None) -> None:
        if name == self.at_work:
            return
        self.queue = queue.added(self.queue, name, at, created=1.0)
        self.waiting = [each for each in self.waiting if each != name]
        self.waiting.insert(len(self.waiting) if at is None else at, name)

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.queue = queue.removed(self.queue, name)
        self.waiting = [each for each in self.waiting if each != name]

    @rule(on=st.booleans(), then=st.sampled_from([None, "nothing", "sleep", "shut-down"]))
    def switch(self, on: bool, then: queue.Then | None) -> None:
        before = self.queue.then
        self.queue = queue.switched(self.queue, on, then)
        assert self.queue.then == (then or before)
        self.at_work = self.at_work if on else ""

    @precondition(lambda self: self.waiting and not self.at_work and self.queue.running)
    @rule()
    def begin(self) -> None:
        self.at_work = self.waiting.pop(0)
        self.queue = queue.begun(self.queue, self.at_work, 7, 1.0)
        assert self.queue.tries == 1

    @precondition(lambda self: self.at_work)
    @rule()
    def begin_again(self) -> None:
        tries = self.queue.tries
        self.queue = queue.begun(self.queue, self.at_work, 9, 1.0)
        assert self.queue.tries == tries + 1

    @rule()
    def end(self) -> None:
        self.queue = queue.ended(self.queue)
        self.at_work = ""

    @precondition(lambda self: self.at_work)
    @rule()
    def hold(self) -> None:
        self.queue = queue.held(self.queue, "It was paused.")
        self.waiting.insert(0, self.at_work)
        self.at_work = ""
        assert not self.queue.running

    @rule(old=names, new=st.sampled_from(["x", "y"]))
    def rename(self, old: str, new: str) -> None:
        if new in (*self.waiting, self.at_work):
            return
        self.queue = queue.renamed(self.queue, old, new)
        self.waiting = [new if each == old else each for each in self.waiting]
        self.at_work = new if self.at_work == old else self.at_work

    @invariant()
    def holds(self) -> None:
        assert list(self.queue.waiting) == self.waiting
        assert self.queue.current == self.at_work
        assert set(self.queue.created) == {*self.waiting, self.at_work} - {""}
        assert self.queue.current not in self.queue.waiting
        assert msgspec.json.decode(msgspec.json.encode(self.queue), type=Queue) == self.queue


TestUsed = Used.TestCase


STARTED = events.Started(pid=1, total_steps=9)
ENDS: dict[str, list[events.AnyEvent]] = {
    "created": [],
    "finished": [STARTED, events.Finished(result={})],
    "stopped": [STARTED, events.Finished(result={}, stopped=True)],
    "cancelled": [STARTED, events.Cancelled()],
    "failed": [STARTED, events.Failed(title="T", text="t")],
    "crashed": [STARTED, events.Ended(title="T", text="t")],
}


@pytest.mark.parametrize("end", [end for end in ENDS if end != "created"])
def test_after_every_end_that_was_seen_the_next_one_comes(end: str) -> None:
    state = replay([events.Created(kind="train"), *ENDS[end]])
    assert state.state == end
    assert queue.fate(Queue(tries=1), state, started=True, unseen=False) == "over"


def test_what_went_down_with_the_machine_is_taken_up_again_but_not_for_ever() -> None:
    crashed = RunState(state="crashed", kind="train")
    assert queue.fate(Queue(tries=1), crashed, started=True, unseen=True) == "again"
    assert queue.fate(Queue(tries=queue.TRIES), crashed, started=True, unseen=True) == "over"
    failed = RunState(state="failed", kind="train")
    assert queue.fate(Queue(tries=1), failed, started=True, unseen=True) == "over"


@pytest.mark.parametrize("state", ["created", "paused", "stopped", "crashed", "failed"])
def test_what_was_chosen_and_never_started_is_started(state: str) -> None:
    chosen = RunState(state=state, kind="train")  # type: ignore[arg-type]
    assert queue.fate(Queue(tries=1), chosen, started=False, unseen=True) == "again"


def test_a_pause_holds_the_queue_and_the_guards_makes_it_wait() -> None:
    def fate(reason: str) -> str:
        paused = replay([STARTED, events.Paused(checkpoint="c", step=3, reason=reason)])
        return queue.fate(Queue(tries=1), paused, started=True, unseen=False)

    assert [fate(""), fate("disk")] == ["hold", "hold"]
    assert {fate(reason) for reason in REASONS} == {"waits"}
