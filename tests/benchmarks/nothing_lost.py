"""How quickly a run pauses, goes on and is found again, and what keeping it safe costs.

    python -m tests.benchmarks.nothing_lost [--times 5] [--seconds 20]

The starter model on the sample dataset at default settings. Pause: from asking until the process
is gone. Resume: from asking until the first new step. Reattach: from the start of the window's
process until it shows the living run. Saving: one checkpoint over the time between two.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from studio.client import actions
from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.library import jobs, locks, runs
from studio.library.folders import Home, JobFolder
from tests.benchmarks.numbers import distribution, report

RECIPE = {"model": "starter", "dataset": "sample", "method": "lora", "training": {"epochs": 100}}
DEADLINE = 300.0


def steps(folder: Path) -> list[events.Step]:
    return [event for event in jobs.read_events(folder)[0] if isinstance(event, events.Step)]


def wait_for_step(folder: Path, beyond: int) -> None:
    """Until a step after `beyond` is in the log."""
    until = time.monotonic() + DEADLINE
    offset = 0
    while True:
        found, offset = jobs.read_events(folder, offset)
        if any(isinstance(event, events.Step) and event.step > beyond for event in found):
            return
        if time.monotonic() > until:
            raise SystemExit(f"No step came: {jobs.state(folder)}")
        time.sleep(0.005)


def pause(keeper: Keeper, folder: Path) -> float:
    """Seconds from asking until no process of the engine is left."""
    engine = locks.holder(JobFolder(folder).lock)
    begun = time.monotonic()
    keeper.tell(folder, commands.Pause())
    while str(folder) in [row.folder for row in keeper.jobs()] or jobs.living(folder):
        if time.monotonic() > begun + DEADLINE:
            raise SystemExit(f"The engine {engine} stays.")
        time.sleep(0.005)
    return time.monotonic() - begun


def resume(home: Home, keeper: Keeper, folder: Path) -> float:
    """Seconds from asking until the first new step is in the log."""
    done = jobs.state(folder).step
    begun = time.monotonic()
    actions.resume_run(home, folder, keeper=keeper)
    wait_for_step(folder, done)
    return time.monotonic() - begun


def reattach(home: Home, folder: Path, shown: Path) -> float:
    """Seconds from starting a window until the run's newest steps are on its plot."""
    shown.unlink(missing_ok=True)
    newest = steps(folder)[-1].step
    begun = time.monotonic()
    words = ["-m", "tests.chaos.window", str(home.root), str(folder), str(shown)]
    environment = os.environ | {"QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen")}
    window = subprocess.Popen([sys.executable, *words], env=environment)
    try:
        while not (shown.exists() and (json.loads(shown.read_bytes()) or [0])[-1] >= newest):
            if time.monotonic() > begun + DEADLINE or window.poll() is not None:
                raise SystemExit("The window did not show the run.")
            time.sleep(0.005)
        return time.monotonic() - begun
    finally:
        window.kill()
        window.wait()


def saving(folder: Path) -> float:
    """The share of training time that a checkpoint as often as the recipe wants one takes."""
    log = jobs.read_events(folder)[0]
    spent = [event.seconds for event in log if isinstance(event, events.Saved)]
    return statistics.median(spent) / (60 * runs.recipe_of(folder).training.save_every_minutes)


def measure(home: Home, times: int, seconds: float, shown: Path) -> None:
    folder = actions.start_run(home, RECIPE)
    with Keeper.connect(home) as keeper:
        try:
            wait_for_step(folder, 0)
            for _ in range(times):
                time.sleep(seconds)
                keeper.tell(folder, commands.Save())
                wait_for_step(folder, steps(folder)[-1].step + 1)
            share = saving(folder)
            found = [reattach(home, folder, shown) for _ in range(times)]
            pauses, resumes = [], []
            for _ in range(times):
                pauses.append(pause(keeper, folder))
                resumes.append(resume(home, keeper, folder))
        finally:
            keeper.tell(folder, commands.Cancel())
            for _ in keeper.follow(folder):
                pass
    one = steps(folder)
    step = one[-1].seconds / len({each.step for each in one})
    figures = {"pause to process gone": pauses, "resume to new step": resumes, "reattach": found}
    report("seconds", {name: distribution(values) for name, values in figures.items()})
    print(f"share of training time spent saving: {share:.2%} (asked: at most 2 %)")
    print(
        f"a step takes {step:.2f} s: pausing lasts {distribution(pauses)['p50'] / step:.1f} steps"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20, help="from one checkpoint to the next")
    parser.add_argument("--home", type=Path, help="a home folder that has the starter model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Home(options.home or Path(name) / "home").make()
        measure(home, options.times, options.seconds, Path(name) / "shown.json")


if __name__ == "__main__":
    main()
