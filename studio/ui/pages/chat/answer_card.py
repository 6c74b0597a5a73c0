"""One side's answer: Markdown as it grows, then its counters, and what one thinks of it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLayout, QSizePolicy, QWidget

from studio.core.chats import Answer
from studio.core.own_sets import Stars
from studio.ui.pages.chat.rating import Correction, Thumbs
from studio.ui.widgets import Card, ElidedLabel, ToolButton, label, restyle, row
from studio.ui.widgets.flow import FlowLayout
from studio.ui.widgets.markdown import MarkdownView

_THOUGHTS: dict[Stars, str] = {"up": "Good", "down": "Bad", "": ""}


class AnswerCard(Card):
    """An answer that may still grow; once it is over it can be rated and corrected.

    `hidden_as` stands for its name, and nothing gives it away, while it is judged blindly.
    """

    rated = Signal()
    """The answer's rating or correction is another one."""

    def __init__(
        self, answer: Answer, named: bool, hidden_as: str = "", narrow: bool = False
    ) -> None:
        super().__init__(margin=14, spacing=8)
        self.body.setContentsMargins(14, 12, 12, 8)
        self.answer = answer
        self.best = False
        self._named, self._hidden_as = named, hidden_as
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.name = ElidedLabel("", "b", Qt.TextElideMode.ElideMiddle)
        self.copy = ToolButton("copy", "Copy this answer")
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(answer.said))
        self.thumbs = Thumbs()
        self.thumbs.rated.connect(self._rate)
        self.pencil = ToolButton("pencil", "Correct this answer")
        self.pencil.clicked.connect(self._begin_correction)
        self._correction: Correction | None = None
        self.text = MarkdownView()
        self.foot = label("", "mute", wrap=True)
        self.foot.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.add(self.name, self.text, None)
        self.add(*self._narrow_foot() if narrow else self._wide_foot())
        self.refresh()

    @property
    def correction(self) -> Correction:
        """Where the answer is corrected; there from the first time on, for it is rarely needed."""
        if self._correction is None:
            self._correction = Correction()
            self._correction.taken.connect(self._correct)
            self._correction.left.connect(self._end_correction)
            self.body.insertWidget(self.body.indexOf(self.text) + 1, self._correction)
        return self._correction

    def reveal(self) -> None:
        """Say whose answer it is."""
        self._hidden_as = ""
        self.refresh()

    def refresh(self) -> None:
        """Show the answer as it is now."""
        answer = self.answer
        name = self._hidden_as or answer.name
        self.name.setText(name)
        self.name.setVisible(self._named or bool(answer.side))
        self.text.show_text(answer.said)
        corrected = self._correction is not None and not self._correction.isHidden()
        self.text.setVisible(bool(answer.said) and not corrected)
        self.foot.setText(foot(answer, bool(self._hidden_as), self.best))
        self.foot.setToolTip("" if self._hidden_as else more(answer))
        restyle(self.foot, "t", "err" if answer.stage == "failed" else "mute")
        self.foot.setVisible(bool(self.foot.text()))
        self.thumbs.show_rating(answer.rating)
        for tool in self._tools():
            tool.setVisible(answer.over and bool(answer.text))
        self.setAccessibleName(f"{name}: {answer.said}")

    def _tools(self) -> tuple[QWidget, ...]:
        return self.thumbs, self.pencil, self.copy

    def _wide_foot(self) -> tuple[QLayout]:
        for tool in self._tools():
            kept = tool.sizePolicy()
            kept.setRetainSizeWhenHidden(True)
            tool.setSizePolicy(kept)
        below = row(self.foot, *self._tools(), spacing=2)
        below.setStretch(0, 1)
        return (below,)

    def _narrow_foot(self) -> tuple[QWidget, QLayout]:
        tools = FlowLayout(spacing=2)
        for tool in self._tools():
            tools.addWidget(tool)
        return self.foot, tools

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


def foot(answer: Answer, hidden: bool = False, best: bool = False) -> str:
    """What stands below an answer; a speed tells sides apart, so not while they are hidden, and
    which was voted the `best` only after."""
    match answer.stage:
        case "waiting":
            return "Waiting \N{HORIZONTAL ELLIPSIS}"
        case "growing":
            return ""
        case "failed":
            return answer.problem
    parts = [] if hidden else _counted(answer)
    if answer.stage == "stopped":
        parts.insert(0, "Stopped")
    elif not answer.text:
        parts.insert(0, "Nothing to say")
    if thought := "Corrected" if answer.correction else _THOUGHTS[answer.rating]:
        parts.insert(0, thought)
    if best and not hidden:
        parts.insert(0, "Voted best")
    return "  \N{MIDDLE DOT}  ".join(parts)


def more(answer: Answer) -> str:
    """The counters that only some people look for."""
    if not answer.prompt_tokens:
        return ""
    known = f", {answer.reused_tokens:,} of them known from before" if answer.reused_tokens else ""
    return (
        f"Prompt: {answer.prompt_tokens:,} tokens{known}. "
        f"First word after {answer.first_token_seconds:.2f} s."
    )


def _counted(answer: Answer) -> list[str]:
    parts = [f"{answer.tokens:,} token" + ("s" if answer.tokens != 1 else "")]
    if answer.tokens_per_second:
        parts.append(f"{answer.tokens_per_second:.1f} tokens/s")
    return [part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts]
