"""The passport as a picture: the stamp, what was compared, and why it isn't passed."""

from __future__ import annotations

import math

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core import passport as core
from studio.core.passport import Check, Example, Passport
from studio.ui.icons import IconLabel
from studio.ui.pages.library.export.examples import ExamplesView
from studio.ui.pages.library.export.scale import Mark, Scale
from studio.ui.widgets import Card, InlineMessage, Pill, clear, column, label, row

_FORM = (
    ("prompt", "Prompt"),
    ("tokens", "Tokens"),
    ("bos", "Beginning"),
    ("stops", "Stop"),
)
_LEAST_KL = 1e-7
GRADES = {"pass": ("Passed", "ok"), "fail": ("Failed", "err"), "": ("Not checked", "warn")}
_UNCHECKED = "It wasn't compared with the live model."
_GONE = "Its passport went with its folder."


class PassportView(QWidget):
    """Shows one passport with its examples, or that there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(12)
        self.stamp = Pill()
        self.reasons: list[str] = []
        self.no_loss = ""
        self.examples: ExamplesView | None = None

    def show_passport(
        self, found: Passport | None, examples: tuple[Example, ...] = (), grade: str = ""
    ) -> None:
        """Build the picture anew. `grade` is what is still known where the passport is gone."""
        clear(self._box)
        self.stamp, self.reasons, self.examples = Pill(), [], None
        self.no_loss = core.no_loss(found) if found else ""
        if found is None:
            self.stamp.show_as(*GRADES[grade])
            self._add(row(self.stamp, None))
            self._add(label(_GONE if grade else _UNCHECKED, "sub", wrap=True))
            return
        self.stamp.show_as(*GRADES[found.grade])
        compared = f"{found.positions:,} tokens of answers, in {found.runtime}"
        self._add(row(label("Passport", "h2"), self.stamp, None, label(compared, "mute")))
        for reason in core.reasons(found):
            self.reasons.append(reason.name)
            message = InlineMessage()
            message.show_message(reason.name, reason.text, reason.fix, "err")
            self._add(message)
        self._add(_form(found))
        self._add(_measures(found))
        if self.no_loss:
            why = label(self.no_loss, "sub", wrap=True)
            self._add(row(IconLabel("info", "mute", 16), why, spacing=10))
        if examples:
            self.examples = ExamplesView(examples)
            self._add(self.examples)
        self._box.addStretch(1)

    def _add(self, item: object) -> None:
        if isinstance(item, QWidget):
            self._box.addWidget(item)
        else:
            self._box.addLayout(item)  # type: ignore[arg-type]


def _form(found: Passport) -> QWidget:
    """What goes in and what ends it: a tick or a cross each."""
    checks = {check.name: check for check in found.checks}
    line = row(spacing=18)
    for name, title in _FORM:
        check = checks.get(name)  # type: ignore[call-overload]
        if check is None:
            continue
        good = check.passed
        icon = IconLabel("check-circle" if good else "error", "ok" if good else "err", 16)
        word = label(title)
        word.setAccessibleName(f"{title}: {'the same' if good else 'differs'}")
        line.addLayout(row(icon, word, spacing=6))
    line.addStretch(1)
    made = QWidget()
    made.setLayout(line)
    return made


def _measures(found: Passport) -> QWidget:
    checks = {check.name: check for check in found.checks}
    card = Card(margin=16, spacing=8)
    if check := checks.get("agreement"):
        card.add(_titled("Same likeliest token", _agreement(found, check)))
    if check := checks.get("kl"):
        over = f", over the {found.kl_over} likeliest" if found.kl_over else ""
        card.add(_titled(f"Distance in nats a token (KL{over})", _kl(found, check)))
    if (check := checks.get("loss")) and found.loss is not None:
        title = f"Loss on {found.loss_positions:,} held-out tokens"
        card.add(_titled(title, _loss(found, check, found.loss)))
    return card


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
