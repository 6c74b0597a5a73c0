"""The conversation on screen: questions at the right, answers in columns that grow."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from studio.core.own_sets import Stars
from studio.ui.pages.chat.rating import Correction, Thumbs
from studio.ui.pages.chat.turns import Answer, Turn
from studio.ui.widgets import (
    Card,
    ElidedLabel,
    IconButton,
    ScrollArea,
    clear,
    column,
    label,
    restyle,
    row,
)

_NEAR_END = 60
_THOUGHTS: dict[Stars, str] = {"up": "Good", "down": "Bad", "": ""}


class Transcript(ScrollArea):
    """Shows turns; keeps to the end while the reader is there."""

    def __init__(self) -> None:
        super().__init__((0, 8, 0, 0), spacing=22)
        self.setAccessibleName("Conversation")
        self.views: list[TurnView] = []
        self.body.addStretch(1)
        bar = self.verticalScrollBar()
        self._at_end = True
        bar.valueChanged.connect(lambda value: self._note_place(value, bar.maximum()))
        bar.rangeChanged.connect(self._follow)

    def add(self, turn: Turn) -> TurnView:
        """Append a turn and go to it."""
        view = TurnView(turn)
        self.body.insertWidget(self.body.count() - 1, view)
        self.views.append(view)
        self._at_end = True
        return view

    def drop_last(self) -> None:
        """Take the last turn away."""
        view = self.views.pop()
        view.hide()
        self.body.removeWidget(view)
        view.deleteLater()

    def clear(self) -> None:
        while self.views:
            self.drop_last()

    def _note_place(self, value: int, end: int) -> None:
        self._at_end = value >= end - _NEAR_END

    def _follow(self, low: int, high: int) -> None:
        if self._at_end:
            self.verticalScrollBar().setValue(high)


class TurnView(QWidget):
    """One question and its answers."""

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn
        self.question = QuestionBubble(turn.question)
        self.cards = [AnswerCard(answer, len(turn.answers) > 1) for answer in turn.answers]
        answers = row(*self.cards, spacing=14)
        for number in range(len(self.cards)):
            answers.setStretch(number, 1)
        asked = row(None, self.question)
        asked.setStretch(0, 1)
        asked.setStretch(1, 4)
        self.setLayout(column(asked, answers, spacing=12))


class QuestionBubble(QFrame):
    """What the user wrote."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setProperty("card", "strip")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        words = _text_label(text)
        widest = max(
            (words.fontMetrics().horizontalAdvance(t) for t in text.splitlines()), default=0
        )
        words.setMinimumWidth(min(widest + 4, 520))
        box = QHBoxLayout(self)
        box.setContentsMargins(14, 10, 14, 10)
        box.addWidget(words)
        self.setAccessibleName(f"You: {text}")


class AnswerCard(Card):
    """One side's answer, as it grows; once it is over it can be rated and corrected."""

    rated = Signal()
    """The answer's rating or correction is another one."""

    def __init__(self, answer: Answer, named: bool) -> None:
        super().__init__(margin=14, spacing=6)
        self.body.setContentsMargins(14, 6, 8, 12)
        self.answer = answer
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.name = ElidedLabel(answer.name, "b", Qt.TextElideMode.ElideMiddle)
        self.copy = IconButton("copy", "Copy this answer")
        self.copy.setFixedSize(24, 24)
        self.copy.clicked.connect(self._copy)
        self.thumbs = Thumbs()
        self.thumbs.rated.connect(self._rate)
        self.pencil = IconButton("pencil", "Correct this answer")
        self.pencil.setFixedSize(24, 24)
        self.pencil.clicked.connect(self._begin_correction)
        self.correction = Correction()
        self.correction.taken.connect(self._correct)
        self.correction.left.connect(self._end_correction)
        self.text = _text_label("")
        self.foot = label("", "mute", wrap=True)
        head = row(spacing=8)
        head.addWidget(self.name, 1000)
        head.addStretch(1)  # in place of a name that isn't shown
        for tool in self._tools():
            kept = tool.sizePolicy()
            kept.setRetainSizeWhenHidden(True)
            tool.setSizePolicy(kept)
            head.addWidget(tool)
        self.add(head, self.text, self.correction, self.foot, None)
        self.name.setVisible(named or bool(answer.side))
        self.refresh()

    def refresh(self) -> None:
        """Show the answer as it is now."""
        answer = self.answer
        self.text.setText(answer.said)
        self.text.setVisible(bool(answer.said) and self.correction.isHidden())
        self.foot.setText(_foot(answer))
        restyle(self.foot, "t", "err" if answer.stage == "failed" else "mute")
        self.foot.setVisible(bool(self.foot.text()))
        self.thumbs.show_rating(answer.rating)
        for tool in self._tools():
            tool.setVisible(answer.over and bool(answer.text))
        self.setAccessibleName(f"{answer.name}: {answer.said}")

    def _tools(self) -> tuple[QWidget, ...]:
        return self.thumbs, self.pencil, self.copy

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.answer.said)

    def _rate(self, rating: Stars) -> None:
        """A correction that is no longer called good is taken back with it."""
        if rating != "up":
            self.answer.correction = ""
        self.answer.rating = rating
        self.refresh()
        self.rated.emit()

    def _begin_correction(self) -> None:
        self.correction.begin(self.answer.said)
        self.refresh()

    def _correct(self, text: str) -> None:
        self.answer.correction = "" if text == self.answer.text.strip() else text
        self.answer.rating = "up"
        self._end_correction()
        self.rated.emit()

    def _end_correction(self) -> None:
        self.correction.hide()
        self.refresh()
        self.pencil.setFocus()


def _foot(answer: Answer) -> str:
    match answer.stage:
        case "waiting":
            return "Waiting \N{HORIZONTAL ELLIPSIS}"
        case "growing":
            return ""
        case "failed":
            return answer.problem
    tokens = f"{answer.tokens} token" + ("s" if answer.tokens != 1 else "")
    parts = [tokens, f"{answer.tokens_per_second:.1f} tokens/s" if answer.tokens else ""]
    if answer.stage == "stopped":
        parts.insert(0, "Stopped")
    elif not answer.text:
        parts.insert(0, "Nothing to say")
    if thought := "Corrected" if answer.correction else _THOUGHTS[answer.rating]:
        parts.insert(0, thought)
    return "  \N{MIDDLE DOT}  ".join(part for part in parts if part)


def _text_label(text: str) -> QLabel:
    """Plain text alone: whatever a model writes loads and links nothing."""
    made = label(text, "", wrap=True, selectable=True)
    made.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    return made


class Suggestions(QWidget):
    """What one could ask first."""

    def __init__(self) -> None:
        super().__init__()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(8)

    def replace(self, buttons: Sequence[QWidget]) -> None:
        """Show these in a centred column."""
        clear(self._box)
        for button in buttons:
            self._box.addWidget(button, 0, Qt.AlignmentFlag.AlignCenter)
