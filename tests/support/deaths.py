"""Engines killed at a named point by kill -9: run as a script, each engine a fork of its own.

`python -m tests.support.deaths HOME` reads a line of JSON from standard input, pairs of a run's
folder and the point to die at (null: not at all), trains them one after the other and prints how
each ended, as a process says it. Forking after the imports saves seconds an engine.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# point -> where (module:name), before or after the call, and at which call
POINTS: dict[str, tuple[str, str, int]] = {
    "in a forward pass": ("studio.engine.tasks.causal_lm:CausalLM.loss_sum", "before", 11),
    "in a backward pass": ("accelerate:Accelerator.backward", "after", 11),
    "between update and schedule": ("accelerate.optimizer:AcceleratedOptimizer.step", "after", 5),
    "between step and word": ("studio.engine.train:Training._say_step", "before", 5),
    "between steps": ("studio.engine.train:Training._look", "before", 6),
    "writing a checkpoint": ("studio.engine.checkpoint:_write_weights", "after", 4),
    "before a checkpoint has its name": ("studio.library.files:sync_folder", "after", 4),
    "before older ones are deleted": ("studio.engine.checkpoint:Checkpoints._thin", "before", 5),
    "deleting an older one": ("studio.engine.checkpoint:remove_folder", "before", 2),
    "in an evaluation": ("studio.engine.train:Training._between_batches", "after", 3),
    "before the best is kept": ("studio.engine.checkpoint:Checkpoints.save_best", "before", 2),
    "after the best is kept": ("studio.engine.checkpoint:Checkpoints.save_best", "after", 2),
    "after an evaluation": ("studio.engine.held_out:HeldOut.look", "after", 2),
    "after the answers": ("studio.engine.evaluate:answers", "after", 2),
    "before it is published": ("studio.engine.save:publish", "before", 1),
    "published in the run alone": ("studio.library.adapters:add", "before", 1),
    "before it has its name": ("studio.library.files:_took_name", "before", 1),
    "published": ("studio.engine.save:publish", "after", 1),
    "before checkpoints go": ("studio.engine.save:remember", "after", 1),
    "before its last word": ("studio.engine.checkpoint:Checkpoints.discard", "after", 1),
}


_USED = (
    "studio.engine.train",
    "bitsandbytes",
    "pandas",
    "transformers.models.llama.modeling_llama",
    "peft.tuners.lora.model",
)


def arm(point: str) -> None:
    """Let this process die at the point."""
    place, when, count = POINTS[point]
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, _dying(getattr(owner, name), when, count))


def _dying(plain: Callable[..., Any], when: str, count: int) -> Callable[..., Any]:
    calls = itertools.count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        dies = next(calls) == count
        if dies and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(*arguments, **named)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def _save_now_and_then() -> None:
    """Every third time that it could, so that steps are lost and some evaluations are not."""
    from studio.engine.saving import Saving

    turns = itertools.count(1)
    setattr(Saving, "due", lambda _: next(turns) % 3 == 0)  # noqa: B010


def _train(root: Path, folder: Path, point: str | None) -> None:
    from studio.core.commands import Train
    from studio.engine import train
    from studio.engine.channel import Channel
    from studio.engine.job import Context
    from studio.library.folders import Home, JobFolder

    _save_now_and_then()
    if point:
        arm(point)
    train.run(
        Context(
            home=Home(root), folder=JobFolder(folder), job=Train(resume=not point),
            channel=Channel(folder),
        )
    )  # fmt: skip


def main(root: Path) -> None:
    """Do what standard input asks for; one exit code or negative signal each."""
    for name in _USED:
        importlib.import_module(name)
    ends = []
    for folder, point in json.loads(sys.stdin.readline()):
        child = os.fork()
        if not child:
            os.dup2(2, 1)
            try:
                _train(root, Path(folder), point)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
