"""The watchdog's judgement of a run's figures, wrong ones and honest ones."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable

import pytest

from studio.core.watchdog import MOST_SKIPS, Figures, Trouble, Watchdog

NAN = float("nan")


def figures(loss: float, norm: float, trained: int = 100) -> Figures:
    good = math.isfinite(loss) and math.isfinite(norm)
    return Figures(loss=loss, grad_norm=norm, trained=trained, skipped=not good)


def judged(course: Iterable[Figures], dog: Watchdog | None = None) -> tuple[int, Trouble] | None:
    """The first trouble of a course and the step that it was said at."""
    dog = dog or Watchdog(scaled=False)
    for step, one in enumerate(course, 1):
        if trouble := dog.hear(step, one):
            return step, trouble
    return None


def calm(steps: int, seed: int = 1) -> list[Figures]:
    """A usual course: the loss falls with noise, the gradient has a jump now and then."""
    rng = random.Random(seed)
    losses = [0.4 + 2.5 * math.exp(-step / 40) + rng.uniform(-0.3, 0.3) for step in range(steps)]
    norms = [rng.lognormvariate(0, 0.5) * (20 if rng.random() < 0.05 else 1) for _ in range(steps)]
    return [figures(loss, norm) for loss, norm in zip(losses, norms, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_run_is_left_alone(seed: int) -> None:
    assert judged(calm(400, seed)) is None


@pytest.mark.parametrize("bad", [figures(NAN, 1.0), figures(math.inf, 1.0), figures(2.0, NAN)])
def test_what_is_no_number_is_noticed_at_once(bad: Figures) -> None:
    found = judged([*calm(30), bad])
    assert found is not None
    step, trouble = found
    assert (step, trouble.since) == (31, 31)
    assert "no longer a number at step 31" in trouble.text


def test_an_overflow_now_and_then_is_normal_with_loss_scaling() -> None:
    overflow = figures(2.0, math.inf)
    course = [overflow] * 6 + calm(30) + [overflow] + calm(30)
    assert judged(course, Watchdog(scaled=True)) is None
    found = judged(calm(10) + [overflow] * 50, Watchdog(scaled=True))
    assert found is not None
    assert (found[0], found[1].since) == (10 + MOST_SKIPS, 11)


def test_a_loss_that_falls_to_zero_suddenly_is_noticed() -> None:
    found = judged([*calm(20), *[figures(0.0, 0.5)] * 9])
    assert found is not None
    assert found[1].title == "The loss is zero"
    assert (found[0], found[1].since) == (25, 21)
    found = judged([figures(0.0, 0.0)] * 9)
    assert found is not None
    assert found[0] == 5


def test_rows_learnt_by_heart_are_no_trouble() -> None:
    falling = [figures(2.0 * 0.8**step, 0.8**step) for step in range(60)]
    assert judged([*falling, *[figures(0.0, 0.0)] * 40]) is None


def test_a_gradient_that_never_moves_anything_is_noticed() -> None:
    found = judged([figures(2.0, 0.0)] * 9)
    assert found is not None
    assert (found[0], found[1].title) == (5, "Nothing is learnt")


def test_exploding_gradients_are_noticed_while_the_loss_rises() -> None:
    explosion = [figures(1.5 * 1.4**step, 30.0 * 2**step) for step in range(9)]
    found = judged([*calm(100), *explosion])
    assert found is not None
    assert found[1].title in ("Gradients explode", "Training diverged")
    assert found[0] <= 108
    assert 101 <= found[1].since <= 106
    falling = [figures(0.5, 30.0 * 2**step) for step in range(9)]
    assert judged([*calm(100), *falling]) is None


def test_a_loss_that_stays_far_above_all_before_is_noticed() -> None:
    found = judged([*calm(60), *[figures(9.0, 0.5)] * 20])
    assert found is not None
    assert (found[0], found[1].since) == (68, 61)
    assert judged([*calm(60), *[figures(9.0, 0.5)] * 3, *calm(60)]) is None


def test_steps_without_a_trained_token_are_noticed() -> None:
    nothing = figures(0.0, 0.0, trained=0)
    found = judged([*calm(10), nothing, nothing, nothing])
    assert found is not None
    assert (found[0], found[1].title) == (13, "Nothing to learn from")
    dog = Watchdog(scaled=False)
    assert judged([*calm(10), nothing, nothing, *calm(10)], dog) is None
    assert dog.trained == 2000


def test_it_is_uneasy_until_a_step_looks_well_again() -> None:
    dog = Watchdog(scaled=False)
    assert judged(calm(30), dog) is None
    assert not dog.uneasy
    dog.hear(31, figures(9.0, 90.0))
    assert dog.uneasy
    dog.hear(32, figures(0.5, 1.0))
    assert not dog.uneasy


@pytest.mark.parametrize("cut", [1, 40, 62, 65])
def test_taken_up_again_it_says_the_same_at_the_same_step(cut: int) -> None:
    course = [*calm(60), *[figures(9.0, 0.5)] * 20]
    whole = judged(course)
    first, again = Watchdog(scaled=False), Watchdog(scaled=False)
    for step, one in enumerate(course[:cut], 1):
        assert first.hear(step, one) is None
    again.load_state_dict(json.loads(json.dumps(first.state_dict())))
    resumed = next(
        (step, trouble)
        for step, one in enumerate(course[cut:], cut + 1)
        if (trouble := again.hear(step, one))
    )
    assert resumed == whole


def test_a_fresh_one_can_be_written_and_read() -> None:
    dog = Watchdog(scaled=False)
    dog.load_state_dict(dog.state_dict())
    assert dog.hear(1, figures(2.0, 1.0)) is None
