"""Bake the mix into an adapter of the library, and score it on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from studio.core.errors import StudioError
from studio.core.mixing import Mix
from studio.core.passport import Passport
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.pages.library.export.measures import measures
from studio.ui.pages.library.export.passport_view import GRADES
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    Field,
    InlineMessage,
    LineEdit,
    Pill,
    ProgressBar,
    clear,
    column,
    label,
    row,
)

EXACTLY = 1e-4


def bake(
    home: Home,
    mix: Mix,
    name: str,
    score: bool,
    progress: Callable[[str, float | None], None],
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Bake or only score on a thread; what the job finished with."""
    from studio.client import actions
    from studio.client.actions.jobs import cancelling, staged
    from studio.client.keeper import Keeper

    with Keeper.connect(home) as keeper:
        return actions.mix(
            home,
            mix,
            name=name,
            score=score,
            keeper=keeper,
            hear=staged(progress),
            orders=cancelling(cancelled),
        )


class BakeCard(Card):
    """The name, two buttons, their progress, and what came of it."""

    baked = Signal(str)
    """The folder of a new adapter of the library."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=12)
        self._session = session
        self._mix: Mix | None = None
        self._task: Task | None = None
        self.name = LineEdit("Name of the new adapter")
        self.button = Button("Bake", "primary", "box", "Write the mix as one adapter and check it")
        self.score = Button(
            "Score", "", "activity", "Read each adapter's held-out rows with all of them"
        )
        self.stop = Button("Cancel")
        self.doing = ElidedLabel("", "mute")
        self.bar = ProgressBar("Progress of the mix")
        self.message = InlineMessage(closable=True)
        self.pill = Pill()
        self.measures = column(spacing=8)
        self.told = label("", "sub", wrap=True, selectable=True)
        self.scores = Scores()
        self.show_button = Button("Show in Library", "", "box")
        self._path = ""
        about = "One adapter in PEFT's format with its recipe, checked against the live mix."
        self.add(
            label("Bake", "h2"),
            Field("Name", self.name, about),
            row(self.button, self.score, None, self.stop),
            self.doing, self.bar, self.message, row(self.pill, None), self.told,
            self.measures, self.scores,
            row(self.show_button, None),
        )  # fmt: skip
        self.button.clicked.connect(lambda: self._begin(True))
        self.score.clicked.connect(lambda: self._begin(False))
        self.stop.clicked.connect(self.cancel)
        self.name.textChanged.connect(lambda _: self._settle())
        self.show_button.clicked.connect(lambda: self.baked.emit(self._path))
        self._forget_result()
        self._settle()

    def show_mix(self, mix: Mix | None, suggested: str) -> None:
        """The mix as it is now, None while it can't be made."""
        if mix != self._mix and mix is not None:
            self._forget_result()
        self._mix = mix
        if not self.name.isModified():
            self.name.setText(suggested)
            self.name.setCursorPosition(0)
        self._settle()

    def cancel(self) -> None:
        """Give it up; nothing is kept."""
        if self._task is not None:
            self._task.cancel()
            self._over()

    def _begin(self, write: bool) -> None:
        name = self.name.text().strip() if write else ""
        if self._mix is None or self._task is not None or (write and not name):
            return
        self._forget_result()
        self.message.hide()
        self._progress("Starting", None)
        self._task = self._session.background(
            bake, self._session.home, self._mix, name, not write,
            done=self._done, failed=self._failed, progress=self._progress,
        )  # fmt: skip
        self._settle()

    def _progress(self, text: str, share: float | None) -> None:
        self.doing.setText(text)
        self.bar.set_value(share)

    def _done(self, result: dict[str, Any]) -> None:
        self._over()
        scores = result["scores"] or []
        self.scores.show_scores(scores)
        if not result["path"]:
            none = "None of these adapters' runs held rows out, so there is nothing to score on."
            self._tell("" if scores else none)
            return
        self._path = str(result["path"])
        self.show_button.show()
        found = result["passport"] and msgspec.convert(result["passport"], Passport)
        self._tell(f"{say.size(result['bytes'])}, {apart(result['apart'])}. {checked(found)}")
        self.pill.show_as(*GRADES[found.grade if found else ""])
        for scale in measures(found) if found else ():
            self.measures.addLayout(scale)
        self._session.library_changed.emit()

    def _tell(self, text: str) -> None:
        self.told.setText(text)
        self.told.setVisible(bool(text))

    def _failed(self, error: StudioError) -> None:
        self._over()
        self.message.show_error(error)

    def _over(self) -> None:
        self._task = None
        self.bar.set_value(0.0)
        self._settle()

    def _forget_result(self) -> None:
        self.pill.show_as("", "plain")
        clear(self.measures)
        self._tell("")
        self.scores.show_scores([])
        self.show_button.hide()

    def _settle(self) -> None:
        busy = self._task is not None
        can = self._mix is not None and not busy
        self.button.setEnabled(can and bool(self.name.text().strip()))
        self.score.setEnabled(can)
        for part in (self.stop, self.doing, self.bar):
            part.setVisible(busy)


class Scores(QWidget):
    """Losses on held-out rows: a line for whoever read them, a column for the rows of each."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(0, 1)
        about = "Loss on held-out rows, in nats a token: less is better."
        self.setLayout(column(label(about, "mute", wrap=True), self._grid, spacing=8))
        self.setAccessibleName("Held-out losses")

    def show_scores(self, scores: list[dict[str, Any]]) -> None:
        """What the job told; the mix's line stands out."""
        clear(self._grid)
        self.setVisible(bool(scores))
        if not scores:
            return
        lines = [("Bare model", [one["base"] for one in scores])]
        for name in scores[0]["adapters"]:
            lines.append((name, [one["adapters"][name] for one in scores]))
        lines.append(("The mix", [one["mix"] for one in scores]))
        for at, one in enumerate(scores, 1):
            head = ElidedLabel(one["rows_of"], "mute", Qt.TextElideMode.ElideRight)
            head.setToolTip(f"Rows that the run of {one['rows_of']} held out")
            head.setMaximumWidth(90)
            self._grid.addWidget(head, 0, at, Qt.AlignmentFlag.AlignRight)
        for line, (name, losses) in enumerate(lines, 1):
            kind = "b" if line == len(lines) else ""
            self._grid.addWidget(ElidedLabel(name, kind, Qt.TextElideMode.ElideRight), line, 0)
            for at, loss in enumerate(losses, 1):
                self._grid.addWidget(
                    label(f"{loss:.3f}", kind), line, at, Qt.AlignmentFlag.AlignRight
                )


def apart(share: float) -> str:
    """How far a mix lies from the plain weighted sum."""
    return "exactly the weighted sum" if share < EXACTLY else f"{share:.1%} away from the sum"


def checked(found: Passport | None) -> str:
    """A bake's check in a sentence."""
    if found is None:
        return "It wasn't checked: the base isn't here, or there is too little free memory."
    return f"Read back, beside the live mix over {found.positions:,} tokens of answers:"
