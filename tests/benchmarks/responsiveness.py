"""Training with the window open: how late the window's events are, and what it costs the run.

    python -m tests.benchmarks.responsiveness [--seconds 60] [--pairs 2]

One run of the starter model on the sample dataset trains on all cores; spans with a window that
shows it and spans without any take turns. Lateness is that of a 10 ms timer in the window.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from studio.client import actions
from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.library import jobs
from studio.library.folders import Home
from tests.benchmarks.numbers import distribution, report

RECIPE = {"model": "starter", "dataset": "sample", "method": "lora", "training": {"epochs": 100}}
WARM_STEPS = 3


def speed(folder: Path, begin: float, end: float) -> float:
    """Tokens a second over the whole steps between two moments of the log."""
    steps = [event for event in jobs.read_events(folder)[0] if isinstance(event, events.Step)]
    inside = [step for step in steps if begin <= step.time <= end]
    return (inside[-1].tokens - inside[0].tokens) / (inside[-1].time - inside[0].time)


def span_with_window(
    home: Home, folder: Path, seconds: float, *, ticking: bool
) -> tuple[float, list[float]]:
    """Tokens a second while a window shows the run, and the lateness of its timer in ms.

    The timer wakes a core a hundred times a second, which no window does: the speed is measured
    without it.
    """
    command = [sys.executable, "-m", "tests.benchmarks.window_probe"]
    command += [str(home.root), str(folder), str(seconds), *(["--ticking"] if ticking else [])]
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    window = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(window.stdout.splitlines()[-1])
    return speed(folder, seen["begin"], seen["end"]), seen["late_ms"]


def span_without(folder: Path, seconds: float) -> float:
    """Tokens a second with nobody watching."""
    begin = time.time()
    time.sleep(seconds)
    return speed(folder, begin, time.time())


def train(home: Home, seconds: float, pairs: int) -> None:
    folder = actions.start_run(home, RECIPE)
    with Keeper.connect(home) as keeper:
        for event in keeper.follow(folder):
            if isinstance(event, events.Step) and event.step >= WARM_STEPS:
                break
            if isinstance(event, events.Failed | events.Ended):
                raise SystemExit(f"The run did not start: {event}")
    try:
        _alternate(home, folder, seconds, pairs)
    finally:
        with Keeper.connect(home) as keeper:
            keeper.tell(folder, commands.Cancel())
            for _ in keeper.follow(folder):
                pass


def _alternate(home: Home, folder: Path, seconds: float, pairs: int) -> None:
    ratios = []
    for _ in range(pairs):
        alone = span_without(folder, seconds)
        watched, _ = span_with_window(home, folder, seconds, ticking=False)
        ratios.append(watched / alone)
        print(f"tokens/s alone {alone:.0f}, with the window {watched:.0f}: {ratios[-1]:.3f}")
    _, late = span_with_window(home, folder, seconds, ticking=True)
    report("event loop", {"late by, ms": distribution(late)})
    print(f"training with the window open, over without: {sum(ratios) / len(ratios):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--home", type=Path, help="a home folder that has the starter model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        train(Home(options.home or Path(name)).make(), options.seconds, options.pairs)


if __name__ == "__main__":
    main()
