"""How soon an engine learns: from asking until its first step begins and until it is done.

    python -m tests.benchmarks.start_up [--times 3] [--home DIR]

The starter model on the sample dataset, two rows a step. Cold: a new process, on a warm disk.
Warm: the spare that the keeper made ready after the last job. Asked: cold at most 8 s, warm at
most 2.5 s, until the first step begins.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from studio.client import actions
from studio.client.keeper import Keeper, quit_keeper
from studio.core import events
from studio.keeper import spare, sweep
from studio.library import jobs
from studio.library.folders import Home
from tests.benchmarks.numbers import distribution, report

RECIPE = {
    "model": "starter",
    "dataset": "sample",
    "method": "lora",
    "training": {"max_steps": 1, "batch_size": 2},
}
COLD_SECONDS, WARM_SECONDS = 8.0, 2.5
DEADLINE = 120.0
_WARM_BYTES = 250 << 20
"""More than this is held by a spare only when its imports are nearly done."""


def start(home: Home, keeper: Keeper) -> tuple[float, float]:
    """Seconds from asking for a run that is prepared until its first step begins and is done."""
    folder = actions.prepare_run(home, RECIPE, keeper=keeper)
    asked = time.time()
    keeper.start(folder)
    for _ in keeper.follow(folder):
        pass
    log = jobs.read_events(folder)[0]
    ready = next(e.time for e in log if isinstance(e, events.Started) and e.total_steps)
    done = next(event.time for event in log if isinstance(event, events.Step))
    return ready - asked, done - asked


def wait_for_spare(home: Home) -> None:
    """Until a spare has its imports done: its memory grows no more and it uses no processor."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        for mark, found in sweep.marked().items():
            if mark.startswith("spare-") and str(home.root) in found[0].cmdline():
                large = found[0].memory_info().rss > _WARM_BYTES
                if large and found[0].cpu_percent(1.0) < 5.0:
                    return
        time.sleep(0.1)
    raise SystemExit("No spare engine came.")


def measure(home: Home, times: int, *, warm: bool) -> dict[str, list[float]]:
    """Seconds of so many starts, each with a spare or each without."""
    os.environ[spare.SWITCH] = "yes" if warm else "no"
    begins, done = [], []
    try:
        with Keeper.connect(home) as keeper:
            for _ in range(times):
                if warm:
                    wait_for_spare(home)
                began, ended = start(home, keeper)
                begins.append(began)
                done.append(ended)
    finally:
        quit_keeper(home)
    return {"first step begins": begins, "first step is done": done}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--home", type=Path, help="a home folder that has the starter model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Home(options.home or Path(name) / "home").make()
        measure(home, 1, warm=False)  # the disk is warm from here on
        medians = {}
        for kind, asked in (("cold", COLD_SECONDS), ("warm", WARM_SECONDS)):
            found = measure(home, options.times, warm=kind == "warm")
            report(f"{kind}, seconds", {what: distribution(took) for what, took in found.items()})
            medians[kind] = statistics.median(found["first step begins"])
            print(f"  asked: the first step begins within {asked} s")
    print(f"a warm start takes {medians['warm'] / medians['cold']:.2f} of a cold one's time")


if __name__ == "__main__":
    main()
