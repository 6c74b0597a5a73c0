"""How near the time that is told of a run comes to what it takes, once a run before was measured.

    python -m tests.benchmarks.time_estimate [--steps 12] [--home DIR]

The starter model on the sample dataset: a first run teaches the studio this machine's speed, the
second is told beforehand and then timed. Asked: the sum of its steps is off by at most 25 %.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from studio.client import actions
from studio.client.keeper import Keeper, quit_keeper
from studio.core import costs, events, problems
from studio.core.recipe import Recipe
from studio.core.sizing.architectures import shapes_of
from studio.core.speed import speed_for
from studio.library import jobs, speeds
from studio.library.folders import Home

OFF = 0.25


def recipe(steps: int, batch_size: int) -> dict[str, Any]:
    return {
        "model": "starter",
        "dataset": "sample",
        "method": "lora",
        "training": {"max_steps": steps, "batch_size": batch_size, "keep_best": False},
    }


def train(home: Home, keeper: Keeper, wanted: dict[str, Any]) -> float:
    """Seconds of the steps of a run, evaluations aside."""
    folder = actions.prepare_run(home, wanted, keeper=keeper)
    keeper.start(folder)
    for _ in keeper.follow(folder):
        pass
    steps = [event for event in jobs.read_events(folder)[0] if isinstance(event, events.Step)]
    return steps[-1].seconds


def told(home: Home, wanted: dict[str, Any]) -> float:
    """Seconds of the steps as the studio tells them; 0 where it can't."""
    checked = actions.examine(home, wanted)
    found: Recipe | None = checked.recipe
    assert found is not None
    assert not problems.blocking(checked.problems)
    assert checked.model is not None
    shapes = shapes_of(checked.model.config)
    known = speed_for(speeds.kept(home), found, checked.machine, shapes.parameters if shapes else 0)
    reckoned = costs.costs(found, checked.model, checked.machine, checked.dataset, known)
    return (reckoned.step_seconds or 0.0) * (reckoned.steps or 0)


def main() -> int:
    """Print the figures; 0 where the time is as near as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(options.home or Path(folder) / "home").make()
        try:
            with Keeper.connect(home) as keeper:
                train(home, keeper, recipe(options.steps, 8))
                wanted = recipe(2 * options.steps, 16)
                before = told(home, wanted)
                real = train(home, keeper, wanted)
        finally:
            quit_keeper(home)
    off = before / real - 1
    print(f"told {before:.1f} s, took {real:.1f} s: off by {100 * off:+.0f} %")
    return 0 if abs(off) <= OFF else 1


if __name__ == "__main__":
    raise SystemExit(main())
