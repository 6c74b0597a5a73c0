"""A card whose memory the driver moves away, told from a card that is only busy."""

from __future__ import annotations

from collections.abc import Sequence

from studio.core.spill import SpillGuard


def heard(course: Sequence[tuple[float, float | None]]) -> list[int]:
    """At which steps something was said."""
    guard = SpillGuard()
    return [
        step
        for step, (seconds, used) in enumerate(course, 1)
        if guard.hear(seconds, lambda share=used: share)  # type: ignore[misc]
    ]


def test_full_and_slow_for_several_steps_is_said_once() -> None:
    assert heard([(0.01, 0.9)] * 10 + [(0.05, 0.99)] * 20) == [13]


def test_neither_alone_says_anything() -> None:
    assert heard([(0.01, 0.99)] * 40) == []
    assert heard([(0.01, 0.9)] * 10 + [(0.05, 0.9)] * 20) == []
    assert heard([(0.01, None)] * 10 + [(0.05, None)] * 20) == []


def test_a_slow_step_now_and_then_says_nothing() -> None:
    assert heard(([(0.01, 0.99)] * 9 + [(0.08, 0.99)] * 2) * 5) == []


def test_slow_first_steps_are_not_the_measure() -> None:
    warming = [(0.2, 0.9), (0.1, 0.9)]
    assert heard(warming + [(0.01, 0.9)] * 10 + [(0.03, 0.98)] * 5) == [15]


def test_the_sentence_names_what_to_do() -> None:
    guard = SpillGuard()
    texts = [guard.hear(seconds, lambda: 1.0) for seconds in [0.01] * 9 + [0.04] * 3]
    assert texts[-1] is not None
    assert "4.0 times slower" in texts[-1]
    assert "Sysmem Fallback Policy" in texts[-1]
