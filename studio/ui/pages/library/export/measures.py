"""What a passport measured, each number on a scale with what it is held against."""

from __future__ import annotations

import math

from PySide6.QtWidgets import QVBoxLayout

from studio.core.passport import Check, Passport
from studio.ui.pages.library.export.scale import Mark, Scale
from studio.ui.widgets import column, label

_LEAST_KL = 1e-7


def measures(found: Passport) -> list[QVBoxLayout]:
    """A titled scale for each number that was checked."""
    checks, made = {check.name: check for check in found.checks}, []
    if check := checks.get("agreement"):
        made.append(_titled("Same likeliest token", _agreement(found, check)))
    if check := checks.get("kl"):
        over = f", over the {found.kl_over} likeliest" if found.kl_over else ""
        made.append(_titled(f"Distance in nats a token (KL{over})", _kl(found, check)))
    if (check := checks.get("loss")) and found.loss is not None:
        title = f"Loss on {found.loss_positions:,} held-out tokens"
        made.append(_titled(title, _loss(found, check, found.loss)))
    return made


def _titled(title: str, scale: Scale) -> QVBoxLayout:
    return column(label(title, "sub"), scale, spacing=2)


def _agreement(found: Passport, check: Check) -> Scale:
    least = min(0.5, math.floor(check.measured * 10) / 10)

    def place(share: float) -> float:
        return (share - least) / (1 - least)

    scale = Scale("Same likeliest token")
    scale.show_measure(
        Mark("export", place(check.measured), f"{check.measured:.1%}"),
        (place(check.wanted), 1.0),
        check.passed,
        [Mark("from", place(check.wanted), f"{check.wanted:.0%}")],
    )
    return scale


def _kl(found: Passport, check: Check) -> Scale:
    """On a logarithmic scale, from nothing to twice what losing the adapter would give."""
    bare = found.kl_without_adapter or 0.0
    most = 2 * max(bare, check.measured, check.wanted)

    def place(value: float) -> float:
        span = math.log(most / _LEAST_KL)
        return math.log(max(value, _LEAST_KL) / _LEAST_KL) / span

    marks = [Mark("up to", place(check.wanted), f"{check.wanted:.2g}")]
    if bare:
        marks.append(Mark("bare base", place(bare), f"{bare:.2g}"))
    scale = Scale("KL divergence")
    dot = Mark("export", place(check.measured), f"{check.measured:.2g}")
    scale.show_measure(dot, (0.0, place(check.wanted)), check.passed, marks)
    return scale


def _loss(found: Passport, check: Check, loss: float) -> Scale:
    known = [("as trained", found.loss_trained), ("bare base", found.loss_bare)]
    marks = [(name, value) for name, value in known if value is not None]
    values = [loss, check.wanted, *(value for _, value in marks)]
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or 0.05

    def place(value: float) -> float:
        return (value - low + margin) / (high - low + 2 * margin)

    scale = Scale("Held-out loss")
    scale.show_measure(
        Mark("export", place(loss), f"{loss:.3f}"),
        (0.0, place(check.wanted)),
        check.passed,
        [Mark(name, place(value), f"{value:.3f}") for name, value in marks],
    )
    return scale
