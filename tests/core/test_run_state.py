"""Where a job stands follows from its events alone."""

from __future__ import annotations

import pytest

from studio.core import events as ev
from studio.core.run_state import Action, RunState, allowed, replay

CREATED = ev.Created(kind="train", time=1.0)
STARTED = ev.Started(pid=1, total_steps=10, epochs=2.0, time=2.0)
STEP = ev.Step(
    step=5,
    metrics={"loss": 1.5, "tokens_per_second": 100.0, "memory_bytes": 700.0},
    tokens=500,
    seconds=5.0,
    epoch=1.0,
    time=3.0,
)


def test_a_living_run_shows_its_progress() -> None:
    state = replay([CREATED, STARTED, STEP])
    assert (state.state, state.step, state.total_steps, state.share) == ("running", 5, 10, 0.5)
    assert (state.train_loss, state.tokens_per_second, state.peak_bytes) == (1.5, 100.0, 700)
    assert state.eta_seconds == pytest.approx(5.0)


def test_the_peak_is_the_highest_so_far() -> None:
    lower = ev.Step(step=6, metrics={"memory_bytes": 10.0}, tokens=1, seconds=6.0)
    assert replay([CREATED, STARTED, STEP, lower]).peak_bytes == 700


def test_the_best_evaluation_is_kept_when_a_worse_one_follows() -> None:
    best = ev.Evaluated(step=5, metrics={"loss": 1.0}, best=True)
    worse = ev.Evaluated(step=10, metrics={"loss": 2.0})
    state = replay([CREATED, STARTED, best, worse])
    assert (state.eval_loss, state.best_eval_loss) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (ev.Finished(result={"adapter": "a"}), "finished"),
        (ev.Finished(result={"adapter": "a"}, stopped=True), "stopped"),
        (ev.Paused(checkpoint="c", step=5), "paused"),
        (ev.Cancelled(), "cancelled"),
        (ev.Failed(title="t", text="x"), "failed"),
        (ev.Ended(code=-11, title="t", text="x"), "crashed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ev.Event) else value,
)
def test_how_it_ended(last: ev.AnyEvent, expected: str) -> None:
    assert replay([CREATED, STARTED, STEP, last]).state == expected
    closed = replay([CREATED, STARTED, STEP, last, ev.Ended(code=0)])
    assert closed.state == expected, "the keeper's last word changes no ending already told"


def test_words_of_an_earlier_crash_are_gone_after_a_resume() -> None:
    crash = ev.Ended(code=-9, title="Killed", text="The engine was killed.")
    state = replay([CREATED, STARTED, STEP, crash, STARTED])
    assert (state.state, state.title, state.text) == ("running", "", "")


@pytest.mark.parametrize("reason", ["", "disk", "game"])
def test_a_pause_keeps_its_reason_until_the_run_goes_on(reason: str) -> None:
    paused = replay([CREATED, STARTED, STEP, ev.Paused(checkpoint="c", step=5, reason=reason)])
    assert (paused.state, paused.pause_reason) == ("paused", reason)
    assert replay([ev.Ended(code=0)], paused).pause_reason == reason
    assert replay([STARTED], paused).pause_reason == ""


def test_the_users_pause_takes_the_place_of_the_studios() -> None:
    waits = ev.Paused(checkpoint="c", step=5, reason="heat")
    state = replay(
        [CREATED, STARTED, STEP, waits, ev.Ended(code=0), ev.Paused(checkpoint="c", step=5)]
    )
    assert (state.state, state.pause_reason, state.checkpoint) == ("paused", "", "c")


def test_a_rescue_counts_and_goes_back_to_the_last_whole_step() -> None:
    rescue = ev.Rescued(step=4, where="a step", micro_batch_size=1, gradient_accumulation=8)
    state = replay([CREATED, STARTED, STEP, rescue, rescue])
    assert (state.state, state.step, state.rescues) == ("running", 4, 2)


def test_a_roll_back_continues_from_its_checkpoint() -> None:
    back = ev.RolledBack(step=6, to_step=3, text="The loss is no number any more.")
    state = replay([CREATED, STARTED, STEP, back])
    assert (state.state, state.step) == ("running", 3)


@pytest.mark.parametrize(
    ("state", "may", "may_not"),
    [
        (RunState(state="running", kind="train"), "stop", "resume"),
        (RunState(state="running", kind="merge"), "cancel", "stop"),
        (RunState(state="crashed", kind="train"), "resume", "stop"),
        (RunState(state="paused", kind="train"), "resume", "pause"),
        (RunState(state="paused", kind="train", pause_reason="game"), "resume", "stop"),
        (RunState(state="finished", kind="train", result={"adapter": "a"}), "chat", "resume"),
        (RunState(state="cancelled", kind="train"), "delete", "chat"),
        (RunState(state="crashed", kind="merge"), "delete", "resume"),
    ],
)
def test_what_may_be_asked(state: RunState, may: Action, may_not: Action) -> None:
    assert may in allowed(state)
    assert may_not not in allowed(state)
