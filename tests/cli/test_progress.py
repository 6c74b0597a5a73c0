"""What whoever follows a run on the command line reads of its setbacks."""

from __future__ import annotations

import io

from studio.cli.progress import Line
from studio.core import events as ev
from studio.core.events import AnyEvent


def read(*events: AnyEvent) -> list[str]:
    stream = io.StringIO()
    line = Line(stream)
    for event in events:
        line.hear(event)
    return stream.getvalue().splitlines()


def test_a_rescue_says_where_and_how_it_goes_on() -> None:
    rescued = ev.Rescued(step=7, where="a step", micro_batch_size=2, gradient_accumulation=8)
    assert read(rescued) == [
        "Step 7: memory ran out during a step; going on with smaller batches "
        "(2 rows at a time, 8 times a step)"
    ]


def test_a_roll_back_says_why_and_where_to() -> None:
    back = ev.RolledBack(step=12, to_step=8, text="Gradients explode.")
    assert read(back) == ["Step 12: Gradients explode. Back at step 8."]


def test_a_pause_by_itself_says_its_reason() -> None:
    (line,) = read(ev.Paused(checkpoint="", step=3, reason="battery"))
    assert "battery" in line
    assert read(ev.Paused(checkpoint="", step=3)) == []
