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

Open = Callable[[], Runtime]
"""Loads the export into its own runtime."""


@dataclass(frozen=True)
class Judged:
    """The passport, and the examples that stay on this machine."""

    passport: Passport
    examples: tuple[Example, ...]


@dataclass
class _Heard:
    """What an export said: sums over all places, and its words on the first rows."""

    told: list[Told]
    probed: list[Told]
    rows_kl: list[float]
    chosen: list[torch.Tensor]
    kl: torch.Tensor
    behind: torch.Tensor
    loss: float | None
    answers: list[list[int]]


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
    runtime = open_export()
    try:
        form = compare_form(asked, runtime)
        examples = other_prompt(asked, runtime) if not form[0].passed else ()
        heard = _hear(asked, runtime, lambda: progress("Checking: the export", 0.8))
        texts = [runtime.decode(answer) for answer in heard.answers]
        name, candidates = runtime.name, runtime.candidates
    finally:
        runtime.close()
    limits = core.TOLERANCES[precision]
    checks = (*form, *_checks(asked, heard, limits))
    found: tuple[core.Cause, float] = ("", 1.0)
    if any(not each.passed for each in checks if each.name in ("agreement", "kl", "loss")):
        tick = lambda: progress("Checking: looking for the cause", 0.95)  # noqa: E731
        found = cause.of(reference, asked, heard.told, heard.probed, tick)
    passport = Passport(
        grade="pass" if all(each.passed for each in checks) else "fail",
        runtime=name,
        precision=precision,
        dtype=str(reference.dtype).removeprefix("torch."),
        kl_over=candidates,
        checks=checks,
        cause=found[0],
        strength=found[1],
        **_numbers(asked, heard, limits),
    )
    return Judged(passport, examples + worst(asked, heard.rows_kl, heard.chosen, texts))


def _hear(asked: Reference, runtime: Runtime, tick: Callable[[], None]) -> _Heard:
    prompts = [prompt.ids for prompt in asked.prompts[:GREEDY_PROMPTS]]
    answers = runtime.greedy(prompts, GREEDY_TOKENS, tick)
    keep = cause.first_rows(asked.rows)
    kept: list[Told] = []
    kl, far, chosen, targets = [], [], [], []
    for line, told in enumerate(runtime.read(asked.rows, tick)):
        mine = asked.told[line].logprobs
        kl.append(divergence(mine, told))
        far.append(behind(mine, told))
        chosen.append(told.chosen)
        if line < asked.held:
            targets.append(told)
        if line < keep:
            kept.append(told)
    return _Heard(
        told=kept,
        probed=list(runtime.read(asked.probes, tick)),
        rows_kl=[float(each.mean()) for each in kl],
        chosen=chosen,
        kl=torch.cat(kl),
        behind=torch.cat(far),
        loss=live.loss(asked, targets),
        answers=answers,
    )


def _checks(asked: Reference, heard: _Heard, limits: Tolerance) -> list[Check]:
    found = [
        _at_least("agreement", _agreement(heard, limits), limits.agreement),
        _at_most(
            "kl",
            float(heard.kl.mean()),
            core.kl_allowed(asked.kl_bare, heard.loss, limits),
        ),
        _at_least("greedy", _greedy(asked, heard), limits.greedy),
    ]
    if heard.loss is not None and asked.loss_trained is not None:
        allowed = core.loss_allowed(asked.loss_trained, asked.loss_bare, limits)
        found.append(_at_most("loss", heard.loss, allowed))
    return found


def _numbers(asked: Reference, heard: _Heard, limits: Tolerance) -> dict[str, Any]:
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


def _agreement(heard: _Heard, limits: Tolerance) -> float:
    return float((heard.behind <= limits.tie).float().mean())


def _greedy(asked: Reference, heard: _Heard) -> float:
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
