"""The ladder: ask, terminate, kill."""

from __future__ import annotations

import pytest

from studio.core import commands
from studio.keeper.shutdown import CANCELLED, TERMINATED, WORKING, Ladder, ladder_for


def test_each_rung_has_its_time() -> None:
    ladder = Ladder("cancel", CANCELLED, began=100.0)
    assert ladder.climb(100 + CANCELLED - 1, 0.0) is None
    assert ladder.climb(100 + CANCELLED, 0.0) == "terminate"
    assert ladder.climb(100 + CANCELLED + 1, 0.0) is None
    assert ladder.climb(100 + CANCELLED + TERMINATED, 0.0) == "kill"
    assert ladder.climb(100 + CANCELLED + TERMINATED + 1, 0.0) is None
    assert ladder.climb(100 + CANCELLED + 2 * TERMINATED, 0.0) == "kill"


def test_an_engine_that_saves_may_take_long_if_it_speaks() -> None:
    ladder = Ladder("stop", WORKING, began=0.0, while_silent=True)
    assert ladder.climb(2 * WORKING, last_heard=2 * WORKING - 1) is None
    assert ladder.climb(3 * WORKING, last_heard=2 * WORKING - 1) == "terminate"


@pytest.mark.parametrize(
    ("command", "kind", "request_"),
    [
        (commands.Stop(), "train", "stop"),
        (commands.Pause(), "train", "pause"),
        (commands.Cancel(), "merge", "cancel"),
        (commands.Cancel(request="1"), "chat", None),
        (commands.Leave(), "chat", "leave"),
        (commands.Save(), "train", None),
        (commands.Sample(), "train", None),
    ],
)
def test_what_asks_for_the_end(
    command: commands.AnyCommand, kind: str, request_: str | None
) -> None:
    ladder = ladder_for(command, kind, 0.0)
    assert (ladder.request if ladder else None) == request_
