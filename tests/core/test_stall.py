"""A step that never comes, told from one that only takes long."""

from __future__ import annotations

import pytest

from studio.core import events as ev
from studio.core.stall import LEAST_SECONDS, TIMES, StallGuard


def step(number: int, seconds: float) -> ev.Step:
    return ev.Step(step=number, metrics={}, tokens=number, seconds=number * seconds)


def running(seconds: float, steps: int = 10) -> tuple[StallGuard, float]:
    """A guard that heard steps of this length, and the time of the last."""
    guard, now = StallGuard(), 1000.0
    for number in range(1, steps + 1):
        watched(guard, now, seconds)
        now += seconds
        guard.hear(step(number, seconds), now)
    return guard, now


def watched(guard: StallGuard, now: float, seconds: float) -> None:
    """Look every second for a while; nothing is said meanwhile."""
    for second in range(int(seconds)):
        assert not guard.look(now + second)


def stalls_at(guard: StallGuard, now: float, seconds: int) -> int | None:
    """After how many seconds of silence it was said."""
    return next((waited for waited in range(seconds) if guard.look(now + waited)), None)


@pytest.mark.parametrize(("seconds", "limit"), [(0.5, LEAST_SECONDS), (60.0, TIMES * 60)])
def test_the_next_step_has_minutes_or_many_times_the_usual(seconds: float, limit: float) -> None:
    guard, now = running(seconds)
    waited = stalls_at(guard, now, 3000)
    assert waited is not None
    assert limit <= waited <= limit + 2
    assert guard.stalled
    assert guard.words(now + 600) == "No step for 10 min"
    assert f"usually takes {seconds:.2g} s" in guard.text(now + 600)


def test_it_is_said_once_and_is_over_with_the_next_step() -> None:
    guard, now = running(1.0)
    assert stalls_at(guard, now, 900) is not None
    assert stalls_at(guard, now + 900, 900) is None
    guard.hear(step(11, 1.0), now + 1800)
    assert not guard.stalled
    assert stalls_at(guard, now + 1800, 900) is not None


@pytest.mark.parametrize(
    "event",
    [
        ev.Stage(text="Evaluating"),
        ev.Evaluated(step=10, metrics={}),
        ev.Sampled(step=10, prompt="", text=""),
        ev.Finished(result={}),
    ],
)
def test_what_is_no_step_may_last(event: ev.AnyEvent) -> None:
    guard, now = running(1.0)
    guard.hear(event, now)
    assert stalls_at(guard, now, 5000) is None
    guard.hear(ev.Saved(step=10, path=""), now + 5000)
    assert stalls_at(guard, now + 5000, 900) is not None


def test_a_note_changes_nothing() -> None:
    guard, now = running(1.0)
    guard.hear(ev.Note(text="Something."), now + 100)
    waited = stalls_at(guard, now, 900)
    assert waited is not None
    assert waited <= LEAST_SECONDS + 2


def test_nothing_is_said_before_a_step_has_been_timed() -> None:
    guard = StallGuard()
    guard.hear(step(1, 1.0), 0.0)
    assert stalls_at(guard, 0.0, 5000) is None


def test_a_log_read_at_once_tells_how_long_steps_take() -> None:
    guard = StallGuard()
    for number in range(1, 20):
        guard.hear(step(number, 100.0), 50.0)
    waited = stalls_at(guard, 50.0, 5000)
    assert waited is not None
    assert waited >= TIMES * 100


def test_a_machine_that_slept_did_not_stall() -> None:
    guard, now = running(1.0)
    assert not guard.look(now + 1)
    morning = now + 8 * 3600
    assert not guard.look(morning)
    waited = stalls_at(guard, morning, 900)
    assert waited is not None
    assert waited >= LEAST_SECONDS
