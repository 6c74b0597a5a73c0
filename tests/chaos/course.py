"""What equal runs have in common to the last digit, and where two of them differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.core import events as ev
from studio.library import jobs

_STEP_FIELDS = ("loss", "grad_norm", "learning_rate")
_RESULT_FIELDS = ("steps", "train_loss", "eval_loss")


@dataclass(frozen=True)
class Course:
    """A finished run: what each step and each evaluation said, its result, its weights' hashes.

    `seconds` from its launch to its end.
    """

    steps: dict[int, str]
    evaluations: dict[int, str]
    result: str
    weights: dict[str, str]
    seconds: float


def course(folder: Path) -> Course:
    """The course of a run that is finished."""
    log = jobs.read_events(folder)[0]
    done = finished(folder)
    began = next(event.time for event in log if isinstance(event, ev.Started))
    return Course(
        steps={
            event.step: _said(event, _STEP_FIELDS) for event in log if isinstance(event, ev.Step)
        },
        evaluations={
            event.step: _said(event, ("loss",)) for event in log if isinstance(event, ev.Evaluated)
        },
        result=repr([done.result[name] for name in _RESULT_FIELDS]),
        weights=_hashes(published(folder)),
        seconds=done.time - began,
    )


def differences(folder: Path, wanted: Course) -> Iterator[str]:
    """Where a finished run isn't what it should be, steps done twice included."""
    for event in jobs.read_events(folder)[0]:
        match event:
            case ev.Step() if _said(event, _STEP_FIELDS) != wanted.steps[event.step]:
                yield f"step {event.step} says {event.metrics}, not {wanted.steps[event.step]}"
            case ev.Evaluated() if _said(event, ("loss",)) != wanted.evaluations.get(event.step):
                yield f"evaluation at {event.step} says {event.metrics}"
    is_now = course(folder)
    if is_now.steps.keys() != wanted.steps.keys():
        yield f"steps missing: {wanted.steps.keys() - is_now.steps.keys()}"
    if is_now.evaluations.keys() != wanted.evaluations.keys():
        yield f"evaluations missing: {wanted.evaluations.keys() - is_now.evaluations.keys()}"
    if is_now.result != wanted.result:
        yield f"the result is {is_now.result}, not {wanted.result}"
    if is_now.weights != wanted.weights:
        yield "the weights differ"


def finished(folder: Path) -> ev.Finished:
    """The last word of a finished run."""
    return [event for event in jobs.read_events(folder)[0] if isinstance(event, ev.Finished)][-1]


def published(folder: Path) -> Path:
    """The adapter or model in the library that a finished run says it made."""
    result = finished(folder).result
    return Path(str(result["adapter"] or result["model"]))


def lost_steps(folder: Path) -> list[tuple[int, float]]:
    """For each time the run was taken up: steps done again, and the seconds these took."""
    lost: list[tuple[int, float]] = []
    done: dict[int, float] = {}
    fresh = False
    for event in jobs.read_events(folder)[0]:
        if isinstance(event, ev.Started):
            fresh = bool(done)
        elif isinstance(event, ev.Step):
            if fresh:
                lost.append(_lost(done, event.step - 1))
                fresh = False
            done[event.step] = event.seconds
    return lost


def _lost(done: dict[int, float], kept: int) -> tuple[int, float]:
    last = max(done)
    seconds = done[last] - done[kept] if kept in done and last > kept else 0.0
    for step in [step for step in done if step > kept]:
        del done[step]
    return max(0, last - kept), seconds


def _said(event: ev.Step | ev.Evaluated, names: tuple[str, ...]) -> str:
    return repr([event.metrics[name] for name in names])


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*.safetensors"))
    assert files, f"no weights in {folder}"
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
