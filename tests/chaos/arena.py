"""Runs killed at moments chosen by seed, beside the same runs left in peace.

All of it is real: keeper, engines, resuming. One run of each method is at work at a time.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from studio.client import actions
from studio.client.keeper import Keeper, KeeperLost, quit_keeper
from studio.library import adapters, jobs, locks, rendezvous
from studio.library.files import PARTIAL
from studio.library.folders import Home, JobFolder
from tests.chaos.course import Course, course, differences, finished, lost_steps, published
from tests.chaos.strikes import EVAL_EVERY, Strike, plan, sooner
from tests.chaos.victim import Victim
from tests.end_to_end import left
from tests.support.command_line import write_rows

STEPS = 90
SAVE_SECONDS = 0.25
TRAINING = {
    "max_steps": STEPS,
    "batch_size": 8,
    "micro_batch_size": 3,
    "warmup_share": 0.2,
    "eval_every": EVAL_EVERY,
    "save_every_minutes": SAVE_SECONDS / 60,
    "keep_best": True,
}
LORA = {"rank": 4, "alpha": 8, "dropout": 0.1}
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"lora": LORA, "training": {"dtype": "float32", "learning_rate": 5e-3}},
    "qlora": {
        "lora": LORA,
        "training": {"dtype": "bfloat16", "optimizer": "adamw_8bit", "learning_rate": 5e-3},
    },
    "full": {"training": {"dtype": "float32", "learning_rate": 1e-3}},
}
_POLL_SECONDS = 0.002


@dataclass
class Row:
    """What became of the runs of one method."""

    method: str
    runs: int = 0
    kills: list[str] = field(default_factory=list)
    resumes: int = 0
    lost: list[tuple[int, float]] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)


class Arena:
    """A home with one prepared run of each method, and what it comes to undisturbed."""

    def __init__(self, home: Home, model: Path) -> None:
        self.home = home
        self._model = model
        self._prepared: dict[str, Path] = {}
        self._wanted: dict[str, Course] = {}
        self._keeper: Keeper | None = None

    def prepare(self) -> None:
        """Prepare a run of each method, and train a copy of each in peace."""
        rows = write_rows(self.home.root / "rows.jsonl", 75)
        for method, about in METHODS.items():
            recipe = about | {
                "name": method,
                "model": str(self._model),
                "dataset": str(rows),
                "method": method,
                "data": {"max_length": 64, "eval_share": 0.2},
                "training": TRAINING | about["training"],
            }
            self._prepared[method] = actions.prepare_run(self.home, recipe)
        self._together([self._in_peace(method) for method in METHODS])

    def rage(self, kills: int, seed: int) -> list[Row]:
        """Kill so often, in equal shares over the methods; a row for each method."""
        rows = [Row(method) for method in METHODS]
        fights = []
        for number, row in enumerate(rows):
            share = kills // len(rows) + (number < kills % len(rows))
            strikes = plan(share, self._wanted[row.method].seconds, seed + number)
            fights.append(self._fight(row, strikes))
        self._together(fights)
        return rows

    def leftovers(self) -> list[str]:
        """What no run should leave in a home."""
        partial = list(self.home.root.rglob(f"{PARTIAL}*"))
        living = [path for path in self.home.runs.iterdir() if jobs.living(path)]
        return [str(path.relative_to(self.home.root)) for path in partial + living]

    def close(self) -> None:
        """End the keeper and whatever still works."""
        self._lose_keeper()
        quit_keeper(self.home)
        left.end_all(self.home.root)

    def _in_peace(self, method: str) -> Iterator[None]:
        victim = self._victim(method, "in-peace", [])
        yield from self._to_its_end(victim)
        self._wanted[method] = course(victim.folder)
        shutil.rmtree(published(victim.folder))

    def _fight(self, row: Row, strikes: list[Strike]) -> Iterator[None]:
        """Runs of one method, one after the other, until all strikes are spent."""
        while strikes:
            victim = self._victim(row.method, str(row.runs), strikes)
            yield from self._to_its_end(victim)
            self._judge(row, victim)
            strikes[:1] = [sooner(strike) for strike in strikes[:1]]

    def _to_its_end(self, victim: Victim) -> Iterator[None]:
        while not victim.done:
            self._tick(victim)
            yield

    def _judge(self, row: Row, victim: Victim) -> None:
        row.runs += 1
        row.kills += victim.kills
        row.resumes += victim.resumes
        row.lost += lost_steps(victim.folder)
        wrong = [*differences(victim.folder, self._wanted[row.method]), *self._left_of(victim)]
        row.mismatches += [f"{victim.folder.name}: {text}" for text in wrong]
        shutil.rmtree(published(victim.folder))  # an equal one would be taken for the next run's

    def _left_of(self, victim: Victim) -> Iterator[str]:
        """What is wrong with library and run folder after this run."""
        path = published(victim.folder)
        new = {p for p in path.parent.iterdir() if not p.name.startswith(PARTIAL)}
        if finished(victim.folder).result["adapter"]:
            by = {Path(row.path): row for row in adapters.listing(self.home)}
            new = {p for p in new if p in by and by[p].run == victim.folder.name}
            if path in by and by[path].problem:
                yield f"{path.name}: {by[path].problem}"
        if new != {path}:
            yield f"the library gained {sorted(p.name for p in new)}"
        if JobFolder(victim.folder).checkpoints.exists():
            yield "checkpoints are left"
        if processes := left.processes_of(victim.folder):
            yield f"processes are left: {processes}"

    def _victim(self, method: str, name: str, strikes: list[Strike]) -> Victim:
        folder = self.home.runs / f"{method}-{name}"
        shutil.copytree(self._prepared[method], folder)
        return Victim(self.home, folder, strikes, self._kill_keeper)

    def _together(self, works: list[Iterator[None]]) -> None:
        """See all of them through, taking turns."""
        while works:
            works = [work for work in works if next(work, self) is not self]
            time.sleep(_POLL_SECONDS)

    def _tick(self, victim: Victim) -> None:
        if self._keeper is None:
            self._keeper = Keeper.connect(self.home, name="chaos")
        try:
            victim.tick(self._keeper)
        except KeeperLost:
            self._lose_keeper()

    def _lose_keeper(self) -> None:
        if self._keeper:
            self._keeper.close()
        self._keeper = None

    def _kill_keeper(self) -> None:
        pid = locks.holder(rendezvous.lock_file(self.home))
        with contextlib.suppress(psutil.Error):
            keeper = psutil.Process(pid)
            keeper.kill()
            keeper.wait(5)
        self._lose_keeper()


def table(rows: list[Row]) -> str:
    """The rows for people to read; steps and seconds lost are those of one kill."""
    head = ("method", "runs", "kills", "resumes", "steps lost (mean/most)", "s lost (most)")
    lines = [(*head, "mismatches")]
    lines += [
        (
            row.method,
            str(row.runs),
            str(len(row.kills)),
            str(row.resumes),
            f"{statistics.mean(s for s, _ in row.lost or [(0, 0)]):.1f} / "
            f"{max((s for s, _ in row.lost), default=0)}",
            f"{max((t for _, t in row.lost), default=0.0):.2f}",
            str(len(row.mismatches)),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
