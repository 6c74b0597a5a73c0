"""Does an export say what the live model says? Measured in its own runtime, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from studio.core import passport as core
from studio.core.passport import FILE, Check, CheckName, Example, Passport, Tolerance
from studio.engine import data
from studio.engine.passport import cause, live
from studio.engine.passport.examples import worst
from studio.engine.passport.form import compare_form, other_prompt
from studio.engine.passport.live import Live, Progress, Reference
from studio.engine.passport.measures import behind, divergence
from studio.engine.runtimes import Runtime, Told

__all__ = ["FILE", "Judged", "Live", "Open", "check"]

GREEDY_PROMPTS, GREEDY_TOKENS = 8, 24
_OF_WEIGHTS = ("agreement", "kl", "strength", "loss")

Open = Callable[[], Runtime]
"""Loads the export into its own runtime."""


@dataclass(frozen=True)
class Judged:
    """The passport, and the examples that stay on this machine."""

    passport: Passport
    examples: tuple[Example, ...]


@dataclass
class Heard:
    """What an export said: sums over all places, and its words on the first rows."""

    form: list[Check]
    other_prompt: tuple[Example, ...]
    runtime: str
    candidates: int
    told: list[Told]
    probed: list[Told]
    rows_kl: list[float]
    chosen: list[torch.Tensor]
    kl: torch.Tensor
    behind: torch.Tensor
    loss: float | None
    answers: list[list[int]]
    texts: list[str]


def check(
    reference: Live, open_export: Open, precision: str, held_out: Sequence[data.Row],
    progress: Progress, quick: bool = False,
) -> Judged:  # fmt: skip
    """Compare an export with the live model that it was made of. One model is in memory at a time.

    `precision` names the tolerances, `held_out` are rows of the run. `progress` is told what goes
    on and its share, and may raise to break off.
    """
    progress("Checking: loading the live model", 0.0)
    asked = live.ask(reference, held_out, quick, progress)
    progress("Checking: loading the export", 0.65)
    heard = hear(asked, open_export, lambda: progress("Checking: the export", 0.8))
    passport = judge(asked, heard, precision, reference)
    examples = worst(asked, heard.rows_kl, heard.chosen, heard.texts)
    return Judged(passport, heard.other_prompt + examples)


def judge(asked: Reference, heard: Heard, precision: str, reference: Live) -> Passport:
    """The passport of an export that was heard, by the tolerances of `precision`."""
    limits = core.TOLERANCES[precision]
    of_loss = core.TOLERANCES[reference.rounded or precision]
    checks = (*heard.form, *_checks(asked, heard, limits, of_loss))
    found: tuple[core.Cause, float] = ("", 1.0)
    if any(not each.passed for each in checks if each.name in _OF_WEIGHTS):
        found = cause.of(asked, heard.told, heard.probed)
    return Passport(
        grade="pass" if all(each.passed for each in checks) else "fail",
        runtime=heard.runtime,
        precision=precision,
        dtype=str(reference.dtype).removeprefix("torch."),
        kl_over=heard.candidates,
        checks=checks,
        cause=found[0],
        strength=found[1],
        **_numbers(asked, heard, limits),
    )


def hear(asked: Reference, open_export: Open, tick: Callable[[], None]) -> Heard:
    """Ask an export in its own runtime what the live model was asked."""
    runtime = open_export()
    try:
        return _hear(asked, runtime, tick)
    finally:
        runtime.close()


def _hear(asked: Reference, runtime: Runtime, tick: Callable[[], None]) -> Heard:
    form = compare_form(asked, runtime)
    differing = other_prompt(asked, runtime) if not form[0].passed else ()
    prompts = [prompt.ids for prompt in asked.prompts[:GREEDY_PROMPTS]]
    answers = runtime.greedy(prompts, GREEDY_TOKENS, tick)
    keep = live.first_rows(asked.rows)
    kept: list[Told] = []
    kl, far, chosen, targets = [], [], [], []
    for line, told in enumerate(runtime.read(asked.rows, tick)):
        mine = asked.told[line].logprobs
        kl.append(divergence(mine, told))
        far.append(behind(mine, told))
        chosen.append(told.chosen)
        if line < asked.held:
            targets.append(told.targets)
        if line < keep:
            kept.append(told)
    return Heard(
        form=form,
        other_prompt=differing,
        runtime=runtime.name,
        candidates=runtime.candidates,
        told=kept,
        probed=list(runtime.read(asked.probes, tick)),
        rows_kl=[float(each.mean()) for each in kl],
        chosen=chosen,
        kl=torch.cat(kl),
        behind=torch.cat(far),
        loss=live.mean_loss(targets),
        answers=answers,
        texts=[runtime.decode(answer) for answer in answers],
    )


def _checks(asked: Reference, heard: Heard, limits: Tolerance, of_loss: Tolerance) -> list[Check]:
    found = [
        _at_least("agreement", _agreement(heard, limits), limits.agreement),
        _at_most(
            "kl",
            float(heard.kl.mean()),
            core.kl_allowed(asked.kl_bare, heard.loss, limits),
        ),
        _at_least("greedy", _greedy(asked, heard), limits.greedy),
    ]
    if asked.otherwise:
        found.append(_at_least("strength", cause.nearest(asked, heard.told)[1], 1.0))
    if heard.loss is not None and asked.loss_trained is not None:
        allowed = core.loss_allowed(asked.loss_trained, asked.loss_bare, of_loss)
        found.append(_at_most("loss", heard.loss, allowed))
    return found


def _numbers(asked: Reference, heard: Heard, limits: Tolerance) -> dict[str, Any]:
    same = [
        told.logprobs.argmax(-1) == chosen
        for told, chosen in zip(asked.told, heard.chosen, strict=True)
    ]
    return {
        "top1": float(torch.cat(same).float().mean()),
        "agreement": _agreement(heard, limits),
        "kl": float(heard.kl.mean()),
        "kl_max": float(heard.kl.max()),
        "kl_without_adapter": asked.kl_bare,
        "greedy": _greedy(asked, heard),
        "positions": asked.positions,
        "prompts": len(asked.prompts) + asked.held,
        "loss": heard.loss,
        "loss_live": live.loss(asked, asked.told),
        "loss_trained": asked.loss_trained,
        "loss_bare": asked.loss_bare,
        "loss_positions": sum(len(row.places) for row in asked.rows[: asked.held]),
    }


def _agreement(heard: Heard, limits: Tolerance) -> float:
    return float((heard.behind <= limits.tie).float().mean())


def _greedy(asked: Reference, heard: Heard) -> float:
    """The mean share of a live answer that the export repeats from its first token on."""
    shares = []
    for prompt, answer in zip(asked.prompts, heard.answers, strict=False):
        mine = prompt.answer[:GREEDY_TOKENS]
        same = next(
            (i for i, pair in enumerate(zip(mine, answer, strict=False)) if pair[0] != pair[1]),
            min(len(mine), len(answer)),
        )
        shares.append(same / len(mine) if mine else float(not answer))
    return sum(shares) / max(1, len(shares))


def _at_least(name: CheckName, measured: float, wanted: float) -> Check:
    return Check(name=name, passed=measured >= wanted, measured=measured, wanted=wanted)


def _at_most(name: CheckName, measured: float, wanted: float) -> Check:
    return Check(name=name, passed=measured <= wanted, measured=measured, wanted=wanted)
