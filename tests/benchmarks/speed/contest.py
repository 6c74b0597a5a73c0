"""Everybody in turn, again and again, each alone in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from studio.library.folders import Home
from tests.benchmarks.speed import ours, peers
from tests.benchmarks.speed.plan import Done, Plan, write

PATIENCE_SECONDS = 1800.0
OURS = ("ours", "ours-low-memory")


class Contest:
    """`folder` keeps what each turn left; `environments` are those of the peers."""

    def __init__(self, plan: Plan, folder: Path, environments: Path, tokens: int) -> None:
        self.plan = plan
        self._folder = folder
        self._environments = environments
        self._tokens = tokens
        self._home = Home(folder / "home").make()
        self.training: dict[str, Any] = {}

    def turns(self, names: list[str], repeat: int) -> Iterator[Done]:
        """Rounds of all names; a contestant that fails is told of and left out from then on."""
        names = list(names)
        for turn in range(repeat):
            for name in list(names):
                try:
                    yield self._turn(name, self._folder / f"{name}-{turn}")
                except (RuntimeError, subprocess.SubprocessError) as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    names.remove(name)

    def floor(self, trained: float) -> dict[str, float]:
        """Seconds a token that the matrix products take, by number format."""
        path = write(self.plan, self._folder / "plan.json")
        found: dict[str, float] = json.loads(self._python("floor", str(path), str(trained)))
        return found

    def _turn(self, name: str, out: Path) -> Done:
        plan = msgspec.structs.replace(self.plan, out=str(out))
        run: Callable[[], Done] = lambda: self._peer(name, plan)  # noqa: E731
        if name in OURS:
            more = ours.LOW_MEMORY if name == "ours-low-memory" else {}
            training = self.training | more
            run = lambda: ours.run(name, plan, self._home, self._tokens, training)  # noqa: E731
        done = run()
        path = write(plan, out / "plan.json")
        done.eval_loss = float(self._python("held_out", str(path), done.result))
        return done

    def _peer(self, name: str, plan: Plan) -> Done:
        wall, memory = peers.run(name, plan, self._environments, PATIENCE_SECONDS)
        said = json.loads((Path(plan.out) / "turn.json").read_text("utf-8"))
        return Done(
            name=name,
            train_seconds=said["train_seconds"],
            wall_seconds=wall,
            peak_bytes=memory,
            tokens=self._tokens,
            result=plan.out,
        )

    def _python(self, module: str, *words: str) -> str:
        command = [sys.executable, "-m", f"tests.benchmarks.speed.{module}", *words]
        environment = os.environ | peers.environment(self.plan)
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError(f"{module} failed: {done.stderr[-1500:]}")
        return done.stdout
