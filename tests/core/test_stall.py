"""A step that never comes, told from one that only takes long."""

from __future__ import annotations

from studio.core.stall import LEAST_SECONDS, TIMES, StallGuard


def running(seconds: float, steps: int = 10) -> tuple[StallGuard, float]:
    """A guard that heard steps of this length, and the time now."""
    guard, now = StallGuard(), 1000.0
    for _ in range(steps):
        guard.hear_step(now)
        now = watched(guard, now, seconds)
    return guard, now - seconds


def watched(guard: StallGuard, now: float, seconds: float) -> float:
    """Look every second or so for a while; nothing is said meanwhile."""
    end = now + seconds
    while now < end:
        now = min(end, now + 1.0)
        assert not guard.look(now)
    return now


def stalls_at(guard: StallGuard, now: float, seconds: float) -> float | None:
    """After how many seconds of silence it was said."""
    for waited in range(int(seconds)):
        if guard.look(now + waited):
            return waited
    return None


def test_quick_steps_are_given_minutes() -> None:
    guard, now = running(0.5)
    waited = stalls_at(guard, now, 900)
    assert waited is not None
    assert LEAST_SECONDS <= waited < LEAST_SECONDS + 2
    assert guard.stalled


def test_slow_steps_are_given_many_times_their_length() -> None:
    guard, now = running(60.0)
    waited = stalls_at(guard, now, 3000)
    assert waited is not None
    assert TIMES * 60 <= waited < TIMES * 60 + 2


def test_it_is_said_once_and_is_over_with_the_next_step() -> None:
    guard, now = running(1.0)
    assert stalls_at(guard, now, 900) is not None
    assert stalls_at(guard, now + 900, 900) is None
    guard.hear_step(now + 1800)
    assert not guard.stalled
    assert stalls_at(guard, now + 1800, 900) is not None


def test_what_is_no_step_may_last() -> None:
    guard, now = running(1.0)
    guard.hear_other()
    assert stalls_at(guard, now, 5000) is None
    guard.hear_begin(now + 5000)
    assert stalls_at(guard, now + 5000, 900) is not None


def test_nothing_is_said_before_a_step_has_been_timed() -> None:
    guard = StallGuard()
    guard.hear_step(0.0)
    assert stalls_at(guard, 0.0, 5000) is None


def test_a_machine_that_slept_did_not_stall() -> None:
    guard, now = running(1.0)
    assert not guard.look(now + 1)
    assert not guard.look(now + 8 * 3600)
    waited = stalls_at(guard, now + 8 * 3600, 900)
    assert waited is not None
    assert waited >= LEAST_SECONDS
