"""Changes that make it fit, or that use what room is left, each with its price; a question."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.core.autofit import Fitted
from studio.ui import format as say
from studio.ui.pages.new_run.wording import sentence
from studio.ui.widgets import Card, ConfirmDialog, Pill, ScrollArea, column, label, row

TALLEST = 360


class FitDialog(ConfirmDialog):
    """Lists the changes; `ask()` gives "apply" on yes."""

    def __init__(self, parent: QWidget | None, fitted: Fitted, room_bytes: int) -> None:
        title, text = _said(fitted, room_bytes)
        changes = len(fitted.changes)
        answer = "Change it" if changes == 1 else f"Change these {changes}"
        answers = [("apply", answer, "primary")] if changes else []
        super().__init__(parent, title, text, answers, "Leave it", "chip")
        self.setMinimumWidth(560)
        self.lines = [_Change(change.text, change.saves_bytes, change.costs)
                      for change in fitted.changes]  # fmt: skip
        if self.lines:
            area = ScrollArea()
            area.body.setSpacing(10)
            for line in self.lines:
                area.body.addWidget(line)
            area.body.addStretch(1)
            area.setMinimumHeight(min(TALLEST, 68 * changes))
            self.body.insertWidget(2, area)


class _Change(Card):
    """One change: what, what it saves, what it costs."""

    def __init__(self, text: str, saves: int, costs: str) -> None:
        super().__init__("raised", margin=12, spacing=3)
        head = row(spacing=10)
        head.addWidget(label(sentence(text), "b", wrap=True), 1)
        what = f"saves {say.size(saves)}" if saves >= 0 else f"takes {say.size(-saves)}"
        head.addLayout(column(Pill(what, "ok" if saves >= 0 else "plain"), None))
        said = sentence(costs)
        self.add(head, label(said[:1].upper() + said[1:], "mute", wrap=True))
        self.setAccessibleName(f"{text}: {what}. {costs}")


def _said(fitted: Fitted, room_bytes: int) -> tuple[str, str]:
    room = say.size(room_bytes)
    after = say.size(fitted.estimate.needed_bytes)
    if fitted.fits and any(change.saves_bytes < 0 for change in fitted.changes):
        return "Use the room that is left", (
            f"With these changes the run still stays below {after}, and {room} are free. Each "
            "makes it faster or better. You can undo it all."
        )
    if fitted.fits and fitted.changes:
        return "Make it fit", (
            f"With these changes the run stays below {after}, and {room} are free. What costs "
            "least quality and speed comes first. You can undo it all."
        )
    if fitted.fits:
        return "It fits", f"The run stays below {after}, and {room} are free."
    if fitted.changes:
        return "It still won't fit", (
            f"Even with all of these it may take {after}, and {room} are free. Choose a smaller "
            "model, close other programs, or take them anyway as a start."
        )
    return "Nothing is left to make smaller", (
        f"The run may take {after}, and {room} are free. Choose a smaller model, or close other "
        "programs."
    )
