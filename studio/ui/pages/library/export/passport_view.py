"""The passport as a picture: the stamp, what was compared, and why it isn't passed."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core import passport as core
from studio.core.passport import Example, Passport
from studio.ui.icons import IconLabel
from studio.ui.pages.library.export.examples import ExamplesView
from studio.ui.pages.library.export.measures import measures
from studio.ui.widgets import Card, InlineMessage, Pill, clear, label, row

_FORM = (
    ("prompt", "Prompt"),
    ("tokens", "Tokens"),
    ("bos", "Beginning"),
    ("stops", "Stop"),
)
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
        numbers = Card(margin=16, spacing=8)
        numbers.add(*measures(found))
        self._add(numbers)
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
