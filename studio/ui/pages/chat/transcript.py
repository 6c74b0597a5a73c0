"""The conversation on screen: questions at the right, answers in columns that grow."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from studio.core.chats import Kept, Turn
from studio.ui.pages.chat.answer_card import AnswerCard
from studio.ui.pages.chat.question import Question
from studio.ui.pages.chat.voting import Voting, letter
from studio.ui.widgets import ScrollArea, column, row

_NEAR_END = 60
_SLICE_MS = 5
AT_ONCE = 4
"""Turns that are laid out before anything else happens."""


class Transcript(ScrollArea):
    """Shows the turns on screen; keeps to the end while the reader is there."""

    edited = Signal(object, str)
    """A turn, and its question as it is to be asked instead."""
    again = Signal(object)
    switched = Signal(object, int)
    """A turn, and -1 or 1 for the branch before it or the next."""
    rated = Signal(object, int)
    """A turn, and the column whose answer is thought of otherwise now."""
    voted = Signal(object)

    def __init__(self) -> None:
        super().__init__((0, 8, 10, 0), spacing=20)
        self.setAccessibleName("Conversation")
        self.views: list[TurnView] = []
        self._kept = Kept(id="")
        self._earlier: list[Turn] = []
        self._busy, self._end = False, 0
        self._slices = QTimer(self)
        self._slices.setInterval(_SLICE_MS)
        self._slices.timeout.connect(self._put_earlier)
        self.body.addStretch(1)
        bar = self.verticalScrollBar()
        self._at_end = True
        bar.valueChanged.connect(lambda value: self._note_place(value, bar.maximum()))
        bar.rangeChanged.connect(self._follow)

    def show_path(self, kept: Kept) -> None:
        """Show the way through the conversation that is chosen; turns that stay are left alone.

        Of many turns the last are there at once, and those before them follow between events.
        """
        self._kept, path = kept, kept.path()
        known = [*self._earlier, *(view.turn for view in self.views)]
        same = 0
        while same < min(len(path), len(known)) and known[same] is path[same]:
            same += 1
        if len(path) - same > AT_ONCE:
            same = 0
        while self.views and len(self._earlier) + len(self.views) > same:
            self._drop_last()
        del self._earlier[same:]
        fresh = path[same:]
        if len(fresh) > AT_ONCE:
            self._earlier, fresh = fresh[:-AT_ONCE], fresh[-AT_ONCE:]
        for turn in fresh:
            self._put(turn, len(self.views))
        for view in self.views:
            self._show_branches(view)
        self._at_end = self._at_end or bool(fresh)
        if self._earlier:
            self._slices.start()

    def card(self, answer: str) -> AnswerCard | None:
        """The card of the answer of this name, where it is on screen."""
        cards = (card for view in self.views for card in view.cards)
        return next((card for card in cards if card.answer.id == answer), None)

    def refresh(self, answer: str) -> None:
        """Draw an answer that has grown."""
        if card := self.card(answer):
            card.refresh()

    def refresh_votes(self, turn: Turn) -> None:
        """Whether this turn can be voted on may have changed."""
        for view in self.views:
            if view.turn is turn:
                view.voting.refresh()

    def set_busy(self, busy: bool) -> None:
        """While something is being answered nothing else can be asked."""
        self._busy = busy
        for view in self.views:
            view.question.set_busy(busy)

    def reveal(self) -> None:
        """Say whose answers they are."""
        for view in self.views:
            view.reveal()

    def _put(self, turn: Turn, place: int) -> None:
        view = TurnView(turn, hidden=turn.blind and not self._kept.revealed)
        view.question.edited.connect(lambda text: self.edited.emit(turn, text))
        view.question.again.connect(lambda: self.again.emit(turn))
        view.question.branches.switched.connect(lambda step: self.switched.emit(turn, step))
        view.question.set_busy(self._busy)
        view.voting.voted.connect(lambda _: self.voted.emit(turn))
        for which, card in enumerate(view.cards):
            card.rated.connect(lambda chosen=which: self.rated.emit(turn, chosen))
        self.body.insertWidget(place, view)
        self.views.insert(place, view)

    def _put_earlier(self) -> None:
        """One turn more, above those that are there; what is being read stays where it is."""
        if self._earlier:
            self._put(self._earlier.pop(), 0)
            self._show_branches(self.views[0])
        if not self._earlier:
            self._slices.stop()

    def _show_branches(self, view: TurnView) -> None:
        branches = self._kept.branches(view.turn)
        view.question.branches.show_place(branches.index(view.turn), len(branches))

    def _drop_last(self) -> None:
        view = self.views.pop()
        view.hide()
        self.body.removeWidget(view)
        view.deleteLater()

    def _note_place(self, value: int, end: int) -> None:
        self._at_end = value >= end - _NEAR_END

    def _follow(self, low: int, high: int) -> None:
        bar, grown = self.verticalScrollBar(), high - self._end
        self._end = high
        if self._at_end:
            bar.setValue(high)
        elif self._slices.isActive():
            bar.setValue(bar.value() + grown)


class TurnView(QWidget):
    """One question and its answers; `cards` are in the order of the columns."""

    def __init__(self, turn: Turn, hidden: bool = False) -> None:
        super().__init__()
        self.turn = turn
        self.question = Question(turn.question)
        named = len(turn.answers) > 1
        places = {column: place for place, column in enumerate(turn.shown)}
        self.cards = [
            AnswerCard(answer, named, letter(places[number]) if hidden else "", len(places) > 2)
            for number, answer in enumerate(turn.answers)
        ]
        if not hidden:
            self._mark_best()
        answers = row(*(self.cards[number] for number in turn.shown), spacing=12)
        for number in range(len(self.cards)):
            answers.setStretch(number, 1)
        self.voting = Voting(turn)
        self.voting.setVisible(hidden)
        asked = row(None, self.question)
        asked.setStretch(0, 1)
        asked.setStretch(1, 4)
        self.setLayout(column(asked, answers, self.voting, spacing=10))

    def reveal(self) -> None:
        """Say whose answers they are."""
        self.voting.hide()
        self._mark_best()
        for card in self.cards:
            card.reveal()

    def _mark_best(self) -> None:
        for number, card in enumerate(self.cards):
            card.best = self.turn.vote == number
            card.refresh()
