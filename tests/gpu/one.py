"""One case, worked on in this process by the engine's own code.

Run as `python -m tests.gpu.one HOME MODEL CASE`; the last line printed is its result as JSON.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch

from studio.core import commands, events
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    LoraPart,
    ModelPart,
    Recipe,
    TrainingPart,
)
from studio.engine import chat, loss, measure, memory, merge, setup, train
from studio.engine.channel import Channel
from studio.engine.decided import Decided
from studio.engine.job import Context
from studio.library import jobs, runs, settings
from studio.library.folders import Home, JobFolder
from tests.engine.making import write_rows
from tests.gpu.cases import Case

STEPS = 4
VOCABULARY = 500


def recipe(case: Case, model: Path) -> Recipe:
    """A short run of the case."""
    training: dict[str, Any] = {
        "max_steps": STEPS,
        "batch_size": case.rows,
        "learning_rate": 1e-5 if case.method == "full" else 1e-3,
        "warmup_share": 0.0,
        **case.training,
    }
    return Recipe(
        model=ModelPart(path=str(model)),
        dataset=(DatasetPart(path="random"),),
        method=case.method,
        lora=LoraPart(rank=16),
        data=DataPart(max_length=case.length, packing=case.packing),
        training=TrainingPart(**training),
    )


def run_folder(home: Home, case: Case, model: Path) -> Path:
    """A run that is ready to be trained, on the same rows in every step, so that its loss falls."""
    draw = random.Random(0)
    folder = runs.create(home, recipe(case, model))
    rows = []
    for number in range(case.rows):
        length = case.length if not number else draw.randrange(case.length // 4, case.length)
        ids = [draw.randrange(3, VOCABULARY) for _ in range(length)]
        rows.append({"input_ids": ids, "labels": [-100] * (length // 4) + ids[length // 4 :]})
    write_rows(folder / "data" / "train.arrow", rows)
    write_rows(folder / "data" / "eval.arrow", rows[:2])
    return folder


def trained(home: Home, case: Case, model: Path) -> tuple[Path, dict[str, Any]]:
    """The finished run's folder, and its losses and speed."""
    folder = run_folder(home, case, model)
    train.run(_context(home, folder, commands.Train()))
    log = jobs.read_events(folder)[0]
    steps = [event for event in log if isinstance(event, events.Step)]
    started = [event for event in log if isinstance(event, events.Started)][-1]
    used = started.decided["attention"]
    if case.attention not in ("", used):
        raise RuntimeError(f"The attention asked for was {case.attention}, the one used “{used}”.")
    # the first step warms kernels up
    seconds = steps[-1].seconds - steps[0].seconds
    return folder, {
        "losses": [step.metrics["loss"] for step in steps],
        "tokens_per_second": (steps[-1].tokens - steps[0].tokens) / seconds,
        "peak_bytes": memory.peak(),
        "decided": started.decided,
        "notes": [event.text for event in log if isinstance(event, events.Note)],
    }


def measured(home: Home, case: Case, model: Path) -> dict[str, Any]:
    """The peak by part and phase beside the arithmetic."""
    folder = run_folder(home, case, model)
    measure.run(_context(home, folder, commands.Measure(steps=2)))
    return _result(folder)


def merged(home: Home, case: Case, model: Path) -> dict[str, Any]:
    """A run's adapter merged into its base, and how well the result answers as both do."""
    folder, found = trained(home, case, model)
    out = home.models / "merged"
    job = commands.Merge(adapter=str(folder / "adapter"), base=str(model), out=str(out))
    place = jobs.create(home, job)
    merge.run(_context(home, place, job))
    return {"losses": found["losses"], "merged": _result(place)}


def chatted(home: Home, case: Case, model: Path) -> dict[str, Any]:
    """An answer of the bare model and one of the adapter."""
    folder, _ = trained(home, case, model)
    adapter = str(folder / "adapter")
    job = commands.Chat(model=str(model), adapters=(adapter,))
    place = jobs.create(home, job)
    context = _context(home, place, job)
    asked = commands.Say(
        request="1",
        messages=({"role": "user", "content": "What is the capital of France?"},),
        adapters=("", adapter),
        max_new_tokens=16,
        temperature=0.0,
    )
    jobs.tell(place, asked)
    jobs.tell(place, commands.Leave())
    chat.run(context)
    log = jobs.read_events(place)[0]
    return {"said": [msgspec.to_builtins(e) for e in log if isinstance(e, events.Answered)]}


def force(home: Home, case: Case) -> None:
    """What no recipe asks for is asked for here, also what comes in on cards alone."""
    if case.without or case.also:
        settings.save(home, settings.Settings(without=case.without, also=case.also))
    if case.loss == "whole":
        setattr(loss, "take_apart", lambda model: None)  # noqa: B010
    if case.attention or case.also == "regions":
        decide: Callable[..., Decided] = getattr(setup, "decide")  # noqa: B009

        def forced(*arguments: Any) -> Decided:
            found = decide(*arguments)
            names = dict.fromkeys((*found.accelerations, *case.also.split()))
            kind = case.attention or found.attention
            return msgspec.structs.replace(found, attention=kind, accelerations=tuple(names))

        setattr(setup, "decide", forced)  # noqa: B010


def work(home: Home, case: Case, model: Path) -> dict[str, Any]:
    """The case's numbers."""
    force(home, case)
    if case.job == "merge":
        return merged(home, case, model)
    if case.job == "chat":
        return chatted(home, case, model)
    return {**trained(home, case, model)[1], "measured": measured(home, case, model)}


def _context(home: Home, folder: Path, job: commands.AnyJob) -> Context:
    return Context(home=home, folder=JobFolder(folder), job=job, channel=Channel(folder))


def _result(folder: Path) -> dict[str, Any]:
    log = jobs.read_events(folder)[0]
    finished = [event for event in log if isinstance(event, events.Finished)]
    return dict(finished[-1].result)


def main() -> None:
    home, model = Home(Path(sys.argv[1])).make(), Path(sys.argv[2])
    case = msgspec.json.decode(sys.argv[3], type=Case)
    found = work(home, case, model)
    if torch.cuda.is_available():
        found["card_peak_bytes"] = torch.cuda.max_memory_reserved()
    print("\n" + json.dumps(found, default=str))


if __name__ == "__main__":
    main()
