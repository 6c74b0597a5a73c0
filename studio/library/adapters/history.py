"""What an adapter keeps of its run: recipe, losses and samples, for when the run is gone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec

from studio.core import events as ev
from studio.library import jobs
from studio.library.files import write_whole
from studio.library.folders import Home, JobFolder

HISTORY_FILE, RECIPE_FILE = "history.json", "recipe.yaml"
POINTS, SAMPLES, SAMPLE_CHARACTERS = 240, 24, 4000

Point = tuple[int, float]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the model in training answered to a fixed prompt after `step` steps."""

    step: int
    prompt: str
    text: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Losses by step, thinned out to what a drawing shows, and samples, the latest last."""

    train: tuple[Point, ...] = ()
    held_out: tuple[Point, ...] = ()
    samples: tuple[Sample, ...] = ()


def keep(home: Home, run: str, folder: Path) -> None:
    """Put recipe and history of a run of this home beside its adapter, where the run is there."""
    source = home.runs / run
    if not run or source.parent != home.runs or not source.is_dir():
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(JobFolder(source).recipe, folder / RECIPE_FILE)
    found = of_events(jobs.read_events(source)[0])
    write_whole(folder / HISTORY_FILE, msgspec.json.encode(found))


def read(folder: Path) -> History:
    """The history of an adapter; an empty one where none was kept."""
    try:
        return msgspec.json.decode((folder / HISTORY_FILE).read_bytes(), type=History)
    except (OSError, msgspec.MsgspecError):
        return History()


def recipe_of(folder: Path) -> Path | None:
    """The recipe that an adapter was trained by; None where it isn't known."""
    recipe = folder / RECIPE_FILE
    return recipe if recipe.is_file() else None


def of_events(events: Iterable[ev.AnyEvent]) -> History:
    """The history that a run's log tells; steps that were rolled back don't count."""
    train: dict[int, float] = {}
    held_out: dict[int, float] = {}
    samples: list[Sample] = []
    for event in events:
        match event:
            case ev.Step():
                _note(train, event.step, event.metrics.get("loss"))
            case ev.Evaluated():
                _note(held_out, event.step, event.metrics.get("loss"))
            case ev.Sampled():
                text = event.text[:SAMPLE_CHARACTERS]
                samples.append(Sample(step=event.step, prompt=event.prompt, text=text))
            case ev.RolledBack():
                train = {step: loss for step, loss in train.items() if step <= event.to_step}
                held_out = {step: x for step, x in held_out.items() if step <= event.to_step}
                samples = [sample for sample in samples if sample.step <= event.to_step]
    return History(
        train=thinned(sorted(train.items())),
        held_out=thinned(sorted(held_out.items())),
        samples=tuple(samples[-SAMPLES:]),
    )


def thinned(points: list[Point], most: int = POINTS) -> tuple[Point, ...]:
    """At most so many points, each the mean of those around it; the last one stays."""
    if len(points) <= most:
        return tuple(points)
    share = (len(points) - 1) / (most - 1)
    cuts = [round(share * n) for n in range(most)]
    parts = [points[a:b] for a, b in pairwise(cuts)]
    means = [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
    return (*means, points[-1])


def _note(series: dict[int, float], step: int, loss: float | None) -> None:
    if loss is not None:
        series[step] = loss
