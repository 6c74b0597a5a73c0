"""The Chat page: who is spoken to, what was said, and the next message."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout

from studio.core.errors import StudioError
from studio.core.events import Answered, Refused
from studio.library.adapters import AdapterFacts
from studio.ui.pages.chat.collecting import Collected
from studio.ui.pages.chat.composer import Composer
from studio.ui.pages.chat.sampling import Sampling
from studio.ui.pages.chat.sides import BARE, MOST, Sides, fitting, known_models
from studio.ui.pages.chat.suggestions import first_questions
from studio.ui.pages.chat.talk import Talk
from studio.ui.pages.chat.transcript import AnswerCard, Suggestions, Transcript
from studio.ui.pages.chat.turns import Answer, Turn, rating, requests
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    EmptyState,
    Heading,
    InlineMessage,
    Page,
    label,
    row,
)

_ALONE = "Adapters that belong on this model are offered above, once there are any."
_BESIDE = (
    "Pick an adapter above, or compare it with the bare model: both answer the same prompt from "
    "the same seed."
)


class ChatPage(Page):
    """One conversation at a time. Its engine starts with the first message."""

    def __init__(self, session: Session) -> None:
        super().__init__(scroll=False, spacing=14)
        self._session = session
        self._turns: list[Turn] = []
        self._asked: dict[str, list[int]] = {}
        self.talk = Talk(session, self)
        self.sides = Sides()
        self.sampling = Sampling()
        self.sampling.hide()
        self.transcript = Transcript()
        self.composer = Composer()
        self.message = InlineMessage(closable=True)
        self.status = label("", "mute")
        self.suggestions = Suggestions()
        self.fresh = Button("New chat", "", "plus", "Begin again; the model stays loaded")
        self.tune = Button("Settings", "", "sliders", "Temperature, length, seed, system message")
        self.tune.setCheckable(True)
        self.unload = Button("Unload", "", "x", "Give the model's memory back")
        self.unload.hide()
        self.collected = Collected(session, self)
        self._lay_out()
        self._connect()
        self._show_state()

    def open_chat(self, model: str, adapters: list[str]) -> None:
        """Begin a conversation with this model; adapters answer beside the bare model."""
        self.begin_again()
        self.sides.show_model(model)
        self.sides.set_sides([BARE, *adapters][:MOST])
        self._look_for_adapters()
        self.talk.open(model, [side for side in adapters if side])
        self._show_state()
        self.composer.edit.setFocus()

    def begin_again(self) -> None:
        """Empty the transcript; model and adapters stay loaded."""
        self.stop()
        self._turns.clear()
        self._asked.clear()
        self.transcript.clear()
        self.message.hide()
        self._show_state()

    def send(self, text: str) -> None:
        """Ask every side."""
        self.message.hide()
        model = self.sides.model.value()
        chosen = self.sides.sides()
        if not self.talk.living:
            self.talk.open(model, [side for side in chosen if side])
        system = self.sampling.system.text().strip()
        turn = Turn(text, [Answer(side, self.sides.name(side)) for side in chosen], system)
        self._turns.append(turn)
        for column, card in enumerate(self.transcript.add(turn).cards):
            card.rated.connect(lambda which=column: self._rated(turn, which))
        values = self.sampling.values()
        for messages, columns in requests(self._turns, system):
            sides = [chosen[column] for column in columns]
            request = self.talk.say(messages, sides, **values)
            self._asked[request] = columns
        self._show_state()

    def stop(self) -> None:
        """Cut off what is being answered."""
        for request in self._asked:
            self.talk.stop(request)

    def _lay_out(self) -> None:
        self.heading = Heading("Chat", "", self.fresh, self.tune, self.unload)
        self.empty = EmptyState(
            "chat",
            "No model to talk to yet",
            "Fetch the starter model or pick one of your own on the first step of New run.",
            "New run",
        )
        self.hint = EmptyState(
            "chat",
            "Say something",
            _ALONE,
        )
        hint_box = self.hint.layout()
        assert isinstance(hint_box, QVBoxLayout)
        hint_box.insertSpacing(hint_box.count() - 1, 6)
        hint_box.insertWidget(hint_box.count() - 1, self.suggestions)
        self._stack = QStackedWidget()
        for face in (self.empty, self.hint, self.transcript):
            self._stack.addWidget(face)
        self.body.addWidget(self.heading)
        self.body.addWidget(self.sides)
        self.body.addWidget(self.sampling)
        self.body.addWidget(self._stack, 1)
        self.body.addWidget(self.message)
        self.body.addWidget(self.composer)
        self.keys = label("Enter sends, Shift+Enter starts a line", "mute")
        self.body.addLayout(row(self.status, None, self.collected, self.keys))

    def _connect(self) -> None:
        session, talk = self._session, self.talk
        session.models_changed.connect(self._look_for_models)
        session.library_changed.connect(self._look_for_adapters)
        self.sides.model_chosen.connect(self._model_chosen)
        self.sides.sides_chosen.connect(self._sides_chosen)
        self.composer.sent.connect(self.send)
        self.composer.stopped.connect(self.stop)
        self.fresh.clicked.connect(self.begin_again)
        self.tune.toggled.connect(self.sampling.setVisible)
        self.unload.clicked.connect(self._unload)
        self.empty.button.clicked.connect(lambda: session.open_page.emit("new_run"))
        self.message.acted.connect(self._again)
        talk.moved.connect(self._moved)
        talk.text.connect(self._grow)
        talk.answered.connect(self._answered)
        talk.refused.connect(self._refused)
        talk.remark.connect(lambda text: self.message.show_message(text, tone="warn"))
        talk.broken.connect(self._broken)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.stop)

    def _look_for_models(self) -> None:
        self._session.background(known_models, self._session.home, done=self._models_found)

    def _models_found(self, found: list[tuple[str, str]]) -> None:
        before = self.sides.model.value()
        self.sides.set_models(found)
        if before and self.talk.living:
            self.sides.show_model(before)
        if self.sides.model.value() != before:
            self._model_chosen(self.sides.model.value())
        else:
            self._look_for_adapters()
        self._show_state()

    def _look_for_adapters(self) -> None:
        model = self.sides.model.value()
        if model:
            self._session.background(
                fitting, self._session.home, model,
                done=lambda found: self._adapters_found(model, found),
            )  # fmt: skip

    def _adapters_found(self, model: str, found: list[AdapterFacts]) -> None:
        if model != self.sides.model.value():
            return
        self.sides.set_adapters(found)
        self.hint.text.setText(_BESIDE if found else _ALONE)
        self._session.background(first_questions, self.sides.datasets(), done=self._suggest)

    def _suggest(self, texts: list[str]) -> None:
        buttons = [Button(text, "chip") for text in texts]
        for button, text in zip(buttons, texts, strict=True):
            button.clicked.connect(lambda _=False, chosen=text: self.send(chosen))
        self.suggestions.replace(buttons)

    def _model_chosen(self, model: str) -> None:
        """Another model is another conversation."""
        if self._turns:
            self.begin_again()
        self.sides.set_adapters([])
        self.sides.set_sides([BARE])
        self._look_for_adapters()
        if self.talk.living:
            self.talk.open(model, [])
        self._show_state()

    def _sides_chosen(self) -> None:
        if self.talk.living:
            self.talk.open(self.sides.model.value(), [s for s in self.sides.sides() if s])
        self._session.background(first_questions, self.sides.datasets(), done=self._suggest)

    def _unload(self) -> None:
        self.stop()
        self.talk.leave()
        self._give_up("Unloaded before it was answered.")

    def _again(self) -> None:
        """Ask the last question once more."""
        if self._turns and not self._asked:
            turn = self._turns.pop()
            self.transcript.drop_last()
            self.send(turn.question)

    def _rated(self, turn: Turn, column: int) -> None:
        self.collected.keep(rating(self._turns, turn, column, self.sides.model.value()))

    def _moved(self, text: str) -> None:
        self.status.setText(text)
        self._show_state()

    def _grow(self, request: str, side: int, text: str) -> None:
        if card := self._card(request, side):
            card.answer.text += text
            card.answer.stage = "growing"
            card.refresh()

    def _answered(self, event: Answered) -> None:
        if card := self._card(event.request, event.side):
            answer = card.answer
            answer.text, answer.tokens = event.text, event.tokens
            answer.tokens_per_second = event.tokens_per_second
            answer.stage = "stopped" if event.stopped else "done"
            card.refresh()
            self._forget_answered(event.request)

    def _refused(self, event: Refused) -> None:
        if not event.request:
            self.message.show_message(event.title, event.text, event.fix)
            return
        for side in range(len(self._asked.get(event.request, ()))):
            if card := self._card(event.request, side):
                card.answer.stage = "failed"
                card.answer.problem = f"{event.text} {event.fix}".strip()
                card.refresh()
        self._forget_answered(event.request)

    def _broken(self, error: StudioError) -> None:
        unanswered = bool(self._asked)
        self._give_up("The engine ended before it was answered.")
        self.message.show_error(error, "Try again" if unanswered else "")
        self.status.setText("")
        self._show_state()

    def _give_up(self, why: str) -> None:
        """Close what nobody will answer any more."""
        self._asked.clear()
        for card in self.transcript.views[-1].cards if self.transcript.views else ():
            if not card.answer.over:
                card.answer.stage, card.answer.problem = "failed", why
                card.refresh()
        self._show_state()

    def _card(self, request: str, side: int) -> AnswerCard | None:
        """Where the answer of this side of a request is shown; None for one long forgotten."""
        columns = self._asked.get(request, [])
        return self.transcript.views[-1].cards[columns[side]] if side < len(columns) else None

    def _forget_answered(self, request: str) -> None:
        columns = self._asked.get(request, [])
        if columns and all(self._turns[-1].answers[column].over for column in columns):
            del self._asked[request]
        self._show_state()

    def _show_state(self) -> None:
        known = bool(self.sides.model.value())
        self._stack.setCurrentIndex(0 if not known else 2 if self._turns else 1)
        self.sides.setVisible(known)
        self.composer.set_usable(known)
        self.composer.set_busy(bool(self._asked))
        self.composer.setVisible(known)
        self.keys.setVisible(known)
        self.fresh.setVisible(bool(self._turns))
        self.tune.setVisible(known)
        self.unload.setVisible(self.talk.living)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look_for_models()
        self.collected.look()
