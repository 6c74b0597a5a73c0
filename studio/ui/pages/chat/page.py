"""The Chat page: who is spoken to, what was said, and the next message."""

from __future__ import annotations

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from studio.core.chats import Kept, Turn, tally
from studio.core.errors import StudioError
from studio.core.events import Refused
from studio.ui.pages.chat import chosen
from studio.ui.pages.chat.asking import Asking, fresh
from studio.ui.pages.chat.collecting import Collected
from studio.ui.pages.chat.composer import Composer
from studio.ui.pages.chat.faces import Faces
from studio.ui.pages.chat.files import Files
from studio.ui.pages.chat.foot import Foot
from studio.ui.pages.chat.history import History
from studio.ui.pages.chat.keeping import Keeping
from studio.ui.pages.chat.keys import listen
from studio.ui.pages.chat.mixer import Mixer
from studio.ui.pages.chat.offers import Offers
from studio.ui.pages.chat.rated import rating
from studio.ui.pages.chat.sampling import Sampling
from studio.ui.pages.chat.sides import BARE, MOST, Sides
from studio.ui.pages.chat.talk import Talk
from studio.ui.pages.chat.top import Top
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage, Page, column, row


class ChatPage(Page):
    """One conversation at a time. Its engine starts with the first message."""

    def __init__(self, session: Session) -> None:
        super().__init__(scroll=False, spacing=14)
        self._session = session
        self.talk = Talk(session, self)
        self.asking = Asking(self.talk, self)
        self.keeping = Keeping(session, self)
        self.history = History(session)
        self.top = Top()
        self.sides = Sides()
        self.offers = Offers(session, self.sides, self)
        self.files = Files(session, self.sides, self)
        self.mixer = Mixer(session, self.sides, self)
        self.sampling = Sampling()
        self.sampling.hide()
        self.faces = Faces()
        self.transcript = self.faces.transcript
        self.composer = Composer()
        self.message = InlineMessage(closable=True)
        self.collected = Collected(session, self)
        self.foot = Foot(self.collected)
        self._lay_out()
        self._connect()
        listen(self)
        self._show_state()

    def open_chat(self, model: str, adapters: list[str]) -> None:
        """Begin a conversation with this model; adapters answer beside the bare model."""
        self.begin_again()
        self.sides.show_model(model)
        self.sides.set_sides([BARE, *adapters][:MOST])
        self.offers.look_for_adapters()
        if self.files.usable(model, *adapters):
            self.talk.open(model, [side for side in adapters if side], self.sampling.bits.value())
        self._show_state()
        self.composer.edit.setFocus()

    def begin_again(self) -> None:
        """A new conversation; model, adapters and settings stay."""
        self.stop()
        self.keeping.begin()
        self.composer.edit.setFocus()

    def open_kept(self, id: str) -> None:
        """A conversation of before, as it was left."""
        self.stop()
        self.keeping.open(id)

    def send(self, text: str) -> None:
        """Ask every side, behind what is on screen."""
        self._ask(text, self.keeping.kept.at)

    def stop(self) -> None:
        """Cut off what is being answered."""
        self.asking.stop()

    def answer_again(self, turn: Turn | None = None) -> None:
        """Ask a question once more, the last by itself; the answer so far stays, as a branch."""
        path = self.keeping.kept.path()
        turn = turn or (path[-1] if path else None)
        if turn is not None and not self.asking.busy:
            self._ask(turn.question, turn.parent)

    def switch(self, turn: Turn, step: int) -> None:
        """Show the branch before this one, or the next."""
        kept = self.keeping.kept
        branches = kept.branches(turn)
        place = branches.index(turn) + step
        if 0 <= place < len(branches) and not self.asking.busy:
            kept.show(branches[place])
            self._changed()

    def reveal(self) -> None:
        """Say who answered, and how often each was the best."""
        self.keeping.kept.revealed = True
        self.transcript.reveal()
        self._changed()

    def _ask(self, text: str, parent: str) -> None:
        self.message.hide()
        sides, model = self.sides.sides(), self.sides.model.value()
        if not self.files.usable(model, *sides):
            self.composer.edit.setPlainText(text)
            return
        bits = self.sampling.bits.value()
        if not self.talk.holds(model, bits):
            self.talk.open(model, [side for side in sides if side], bits)
        values = self.sampling.values()
        turn = fresh(self.sides, self.sampling.system.toPlainText().strip(), values, text, parent)
        if turn.blind:
            self.keeping.kept.revealed = False
        self.keeping.kept.add(turn)
        self._changed()
        self.asking.ask(self.keeping.kept, values)
        self._show_state()

    def _changed(self) -> None:
        """The conversation is another one: show it, and write it."""
        kept = self.keeping.kept
        chosen.keep(kept, self.sides, self.sampling)
        self.transcript.show_path(kept)
        self.keeping.save()
        self._show_state()

    def _opened(self) -> None:
        """Another conversation is on screen."""
        self.message.hide()
        kept = self.keeping.kept
        if kept.turns:
            chosen.show(kept, self.sides, self.sampling)
            self.offers.look_for_adapters()
            if gone := chosen.missing(kept):
                self.message.show_message(gone.title, gone.text, gone.fix, "warn")
        self.transcript.show_path(kept)
        self.history.show_current(kept.id)
        self._show_state()

    def _lay_out(self) -> None:
        talking = column(self.sides, self.sampling, spacing=12)
        talking.addWidget(self.faces, 1)
        talking.addWidget(self.message)
        talking.addWidget(self.composer)
        talking.addWidget(self.foot)
        self.body.addWidget(self.top)
        whole = row(self.history, spacing=20)
        whole.addLayout(talking, 1)
        inside = QWidget()
        inside.setLayout(whole)
        self.body.addWidget(inside, 1)

    def _connect(self) -> None:
        session, talk, top = self._session, self.talk, self.top
        session.models_changed.connect(self._look_for_models)
        session.library_changed.connect(self.offers.look_for_adapters)
        self.offers.model_changed.connect(self._model_chosen)
        self.offers.found.connect(self._show_state)
        self.offers.fits.connect(self.faces.set_beside)
        self.offers.suggested.connect(self.faces.suggest)
        self.faces.asked.connect(self.send)
        self.sides.model_chosen.connect(self._model_chosen)
        self.sides.sides_chosen.connect(self._sides_chosen)
        self.sides.blind_chosen.connect(lambda _: self._show_state())
        self.sampling.bits_chosen.connect(lambda _: self._sides_chosen())
        self.composer.sent.connect(self.send)
        self.composer.stopped.connect(self.stop)
        self.history.fresh.connect(self.begin_again)
        self.history.opened.connect(self.open_kept)
        self.history.renamed.connect(self._rename)
        self.history.deleted.connect(self.keeping.delete)
        top.tune.toggled.connect(self.sampling.setVisible)
        top.beside.toggled.connect(self.history.setVisible)
        top.unload.clicked.connect(self._unload)
        top.reveal.clicked.connect(self.reveal)
        top.copied.connect(self.keeping.copy)
        top.exported.connect(self.keeping.export)
        top.renamed.connect(lambda: self._rename(self.keeping.kept.id))
        top.used.connect(self._use)
        top.deleted.connect(lambda: self.keeping.delete(self.keeping.kept.id))
        self.faces.empty.button.clicked.connect(lambda: session.open_page.emit("new_run"))
        self.message.acted.connect(self._try_again)
        self.keeping.opened.connect(self._opened)
        self.keeping.listed.connect(self.history.look)
        self.transcript.edited.connect(lambda turn, text: self._ask(text, turn.parent))
        self.transcript.again.connect(self.answer_again)
        self.transcript.switched.connect(self.switch)
        self.transcript.rated.connect(self._rated)
        self.transcript.voted.connect(lambda _: self._changed())
        self.asking.grew.connect(self.transcript.refresh)
        self.asking.settled.connect(self._settled)
        self.asking.refused.connect(self._refused)
        talk.moved.connect(self._moved)
        talk.loaded.connect(lambda ready: self.foot.say_memory(ready, self.sides.name))
        talk.decided.connect(self.sampling.say_why)
        talk.remark.connect(lambda text: self.message.show_message(text, tone="warn"))
        talk.broken.connect(self._broken)

    def _look_for_models(self) -> None:
        self.offers.look(keep=self.talk.living or bool(self.keeping.kept.turns))

    def _model_chosen(self, model: str) -> None:
        """Another model is another conversation."""
        if self.keeping.kept.turns:
            self.begin_again()
        self.sides.set_adapters([])
        self.sides.set_sides([BARE])
        self.offers.look_for_adapters()
        if self.talk.living and self.files.usable(model):
            self.talk.open(model, [], self.sampling.bits.value())
        self._show_state()

    def _sides_chosen(self) -> None:
        sides = [side for side in self.sides.sides() if side]
        if self.talk.living and self.files.usable(*sides):
            self.talk.open(self.sides.model.value(), sides, self.sampling.bits.value())
        self.offers.suggest()
        self._show_state()

    def _use(self) -> None:
        try:
            self._session.open_serving.emit(*chosen.servable(self.sides))
        except StudioError as error:
            self.message.show_message(error.title, error.text, error.fix, "info")

    def _unload(self) -> None:
        self.stop()
        self.talk.leave()
        self.sampling.say_why("")
        self.foot.say("")
        self.asking.give_up("Unloaded before it was answered.")
        self._show_state()

    def _try_again(self) -> None:
        """Ask the last question once more, in the place of what failed."""
        kept, path = self.keeping.kept, self.keeping.kept.path()
        if path and not self.asking.busy:
            kept.turns.remove(path[-1])
            kept.at = path[-1].parent
            self._ask(path[-1].question, path[-1].parent)

    def _rename(self, id: str) -> None:
        kept = self.keeping.kept
        self.keeping.rename(id, kept.title if id == kept.id else self.history.title(id))

    def _rated(self, turn: Turn, which: int) -> None:
        path = self.keeping.kept.path()
        self.collected.keep(rating(path, turn, which, self.sides.model.value()))
        self.keeping.save()

    def _settled(self, kept: Kept, turn: Turn) -> None:
        self.transcript.refresh_votes(turn)
        self.keeping.save(kept)
        self._show_state()

    def _moved(self, text: str) -> None:
        self.foot.say(text)
        self._show_state()

    def _refused(self, event: Refused) -> None:
        self.message.show_message(event.title, event.text, event.fix)

    def _broken(self, error: StudioError) -> None:
        unanswered = self.asking.give_up("The engine ended before it was answered.")
        self.message.show_error(error, "Try again" if unanswered else "")
        self.foot.say("")
        self._show_state()

    def _show_state(self) -> None:
        known, kept = bool(self.sides.model.value()), self.keeping.kept
        busy, path = self.asking.busy, kept.path()
        self.faces.show_state(known, bool(path))
        for part in (self.sides, self.composer, self.foot.keys):
            part.setVisible(known)
        self.composer.set_usable(known)
        self.composer.set_busy(busy)
        self.transcript.set_busy(busy)
        self.keeping.set_growing(busy)
        blind = any(turn.blind for turn in path) and not kept.revealed
        self.top.show_state(kept.title if path else "", path, known, self.talk.living, blind)
        self.top.say_votes({} if blind else tally(path), sum(t.vote is not None for t in path))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look_for_models()
        self.history.look()
        self.collected.look()
