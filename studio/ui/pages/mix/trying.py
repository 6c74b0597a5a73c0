"""Hear the mix before it is baked: one question, asked again whenever the mix changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal

from studio.core.errors import StudioError
from studio.core.events import Answered, Refused
from studio.core.mixing import Mix
from studio.library import mixing
from studio.ui.pages.chat.talk import Talk
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    InlineMessage,
    LineEdit,
    SettingRow,
    Switch,
    label,
    row,
)

TOKENS = 160
FIRST = "Order 512: one green lamp for Anna."


class TryCard(Card):
    """Its engine holds the base while the page is in view; a changed mix changes in place."""

    wanted = Signal()
    """Somebody wants to go on in Chat."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=12)
        self._session = session
        self._mix: Mix | None = None
        self._base: Path | None = None
        self._request = ""
        self._text = ""
        self.talk = Talk(session, self)
        self.question = LineEdit("Question", "", "Ask the mix something")
        self.ask = Button("Ask", "primary")
        self.again = Switch("Answer again when the mix changes")
        self.again.setChecked(True)
        self.answer = label("", "", wrap=True, selectable=True)
        self.answer.setAccessibleName("Answer of the mix")
        self.doing = label("", "mute", wrap=True)
        self.message = InlineMessage(closable=True)
        self.chat = Button("Open in Chat", "", "chat")
        line = row(self.question, self.ask)
        line.setStretch(0, 1)
        self.add(label("Try it", "h2"), line, self.message, self.answer, self.doing)
        self.add(
            SettingRow("Answer again", "Whenever the mix changes.", self.again),
            row(self.chat, None),
        )
        self.ask.clicked.connect(self.begin)
        self.question.returnPressed.connect(self.begin)
        self.chat.clicked.connect(self.wanted)
        self.talk.text.connect(self._said)
        self.talk.answered.connect(self._answered)
        self.talk.refused.connect(self._refused)
        self.talk.moved.connect(self._moved)
        self.talk.broken.connect(self._broken)
        self._show_answer("")
        self._show_doing("")
        self.show_mix(None, None)

    @property
    def base(self) -> Path | None:
        """The folder of the model that the mix is for, where it is here."""
        return self._base

    def show_mix(self, mix: Mix | None, base: Path | None) -> None:
        """The mix as it is now, None while it can't be made; an answer in view is asked again."""
        changed = mix is not None and mix != self._mix
        self._mix, self._base = mix, base
        can = mix is not None and base is not None
        self.ask.setEnabled(can)
        self.chat.setEnabled(can)
        if changed and can and self.talk.living:
            if self.again.isChecked() and self.question.text().strip():
                self.begin()
            else:
                self._hand_over(lambda _: None)

    def begin(self) -> None:
        """Ask the question of the mix as it is now."""
        if self._mix is None or self._base is None or not self._session.running:
            return
        if not self.question.text().strip():
            self.question.setText(FIRST)
        self.message.hide()
        if self._request:
            self.talk.stop(self._request)
        self._hand_over(self._say)

    def leave(self) -> None:
        """Give the base's memory back."""
        self._request = ""
        self.talk.leave()

    def _hand_over(self, then: Callable[[str], None]) -> None:
        """Have the engine hold the mix as it is now; it is mixed while nobody waits."""
        mix, base = self._mix, self._base
        assert mix is not None
        assert base is not None

        def ready(draft: Path) -> None:
            if mix == self._mix:
                self.talk.open(str(base), [str(draft)])
                then(str(draft))

        self._session.background(
            mixing.draft, self._session.home, mix, done=ready, failed=self._broken
        )

    def _say(self, draft: str) -> None:
        question = {"role": "user", "content": self.question.text().strip()}
        self._text = ""
        self._request = self.talk.say(
            [question], [draft], max_new_tokens=TOKENS, temperature=0.0, seed=0
        )

    def _said(self, request: str, _side: int, text: str) -> None:
        if request == self._request:
            self._text += text
            self._show_answer(self._text.strip())

    def _answered(self, event: Answered) -> None:
        if event.request == self._request:
            self._request = ""
            self._show_answer(event.text.strip() or "(nothing)")
            self._show_doing(f"{event.tokens} tokens, {event.tokens_per_second:.0f} a second")

    def _refused(self, event: Refused) -> None:
        self._request = ""
        self.message.show_error(StudioError(event.title, event.text, event.fix))

    def _moved(self, text: str) -> None:
        if text or self._request:
            self._show_doing(text)

    def _show_answer(self, text: str) -> None:
        self.answer.setText(text)
        self.answer.setVisible(bool(text))

    def _show_doing(self, text: str) -> None:
        self.doing.setText(text)
        self.doing.setVisible(bool(text))

    def _broken(self, error: StudioError) -> None:
        self._request = ""
        self.message.show_error(error)
