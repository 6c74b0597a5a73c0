"""The Mix page: sliders, what each adapter contributes, the method; hear it, then bake it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from studio.core.mix_problems import Part, blocks
from studio.core.mixing import Mix
from studio.core.problem import Problem
from studio.library import adapters, mixing
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.library.mix_strengths import Strengths, strengths
from studio.ui.background import Task
from studio.ui.pages.mix.baking import BakeCard
from studio.ui.pages.mix.methods import MethodCard
from studio.ui.pages.mix.picture import Picture
from studio.ui.pages.mix.portions import Portions
from studio.ui.pages.mix.trying import TryCard
from studio.ui.session import Session
from studio.ui.widgets import Button, EmptyState, Heading, Page, column, row

BESIDE_WIDTH, LEAST_BESIDE = 340, 250
PATIENCE_MS = 250
"""How long a slider rests before what it means is looked up."""

Looked = tuple[Path | None, list[Part], list[Problem]]


class MixPage(Page):
    """Everything follows from one recipe, made anew from the controls at every change."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._wanted: list[str] = []
        self._listing: Task | None = None
        self._looking: Task | None = None
        self._reading: Task | None = None
        self._read: tuple[str, ...] = ()
        self.portions = Portions()
        self.picture = Picture()
        self.methods = MethodCard()
        self.trying = TryCard(session)
        self.baking = BakeCard(session)
        self.back = Button("Library", "", "box", "Back to the adapters")
        self.heading = Heading("Mix", "", self.back)
        self._lay_out()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(PATIENCE_MS)
        self._later.timeout.connect(self._look)
        self.portions.changed.connect(self._changed)
        self.methods.changed.connect(self._changed)
        self.back.clicked.connect(lambda: session.open_page.emit("library"))
        self.empty.button.clicked.connect(lambda: session.open_page.emit("library"))
        self.trying.wanted.connect(self._chat)
        self.baking.baked.connect(lambda _: session.open_page.emit("library"))
        session.library_changed.connect(self._reload)

    def open_mix(self, folders: Sequence[str]) -> None:
        """Begin a mix of these adapters, in equal parts."""
        self._wanted = list(folders)
        self._reload()

    def recipe(self) -> Mix:
        """The mix as the controls have it."""
        return self.methods.into(Mix(adapters=self.portions.ingredients()))

    def _lay_out(self) -> None:
        self.empty = EmptyState(
            "sliders",
            "Nothing to mix yet",
            "Choose an adapter in the Library and press Mix: several adapters of one base become "
            "one, each as strong as you like.",
            "Library",
        )
        beside = QWidget()
        beside.setMinimumWidth(LEAST_BESIDE)
        beside.setMaximumWidth(BESIDE_WIDTH)
        beside.setLayout(column(self.trying, self.baking, None, spacing=16))
        self._filled = QWidget()
        whole = row(spacing=16)
        whole.addLayout(column(self.portions, self.picture, self.methods, None, spacing=16), 5)
        whole.addWidget(beside, 3)
        self._filled.setLayout(whole)
        self.body.addWidget(self.heading)
        self.body.addWidget(self.empty, 1)
        self.body.addWidget(self._filled, 1)
        self._filled.hide()

    def _reload(self) -> None:
        if not (self.isVisible() or self._wanted):
            return
        if self._listing is not None:
            self._listing.cancel()  # it may not know yet what this one will find
        self._listing = self._session.background(
            adapters.listing, self._session.home, done=self._loaded
        )

    def _loaded(self, known: list[AdapterFacts]) -> None:
        self._listing = None
        self.portions.set_known(known)
        if self._wanted:
            wanted, self._wanted = self._wanted, []
            found = {facts.path: facts for facts in known}
            self.portions.start([found[path] for path in wanted if path in found])
        self._settle()

    def _settle(self) -> None:
        rows = self.portions.rows
        self.empty.setVisible(not rows)
        self._filled.setVisible(bool(rows))
        bases = {one.facts.base_name for one in rows if one.facts.base_name}
        words = f"Adapters of {bases.pop()}" if len(bases) == 1 else ""
        self.heading.set_text("Mix", words)

    def _changed(self) -> None:
        self._settle()
        self._read_strengths()
        self.picture.show_weights([one.weight() for one in self.portions.rows])
        self._later.start()

    def _read_strengths(self) -> None:
        """Once for each set of adapters; weights change nothing of it."""
        folders = tuple(one.facts.path for one in self.portions.rows)
        if folders == self._read:
            return
        self._read = folders
        if self._reading is not None:
            self._reading.cancel()
        names = [one.facts.name for one in self.portions.rows]
        self.picture.show_strengths(None, names)
        if folders:
            self._reading = self._session.background(
                strengths, [Path(each) for each in folders],
                done=lambda found: self._drawn(found, names), failed=lambda _: None,
            )  # fmt: skip

    def _drawn(self, found: Strengths | None, names: list[str]) -> None:
        self._reading = None
        self.picture.show_strengths(found, names)
        self.picture.show_weights([one.weight() for one in self.portions.rows])

    def _look(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        mix = self.recipe()
        if mix.adapters:
            self._looking = self._session.background(
                look, self._session.home, mix, done=lambda found: self._looked(mix, found)
            )

    def _looked(self, mix: Mix, found: Looked) -> None:
        self._looking = None
        base, _, problems = found
        self.portions.show_problems(problems)
        self.methods.show_problems(problems)
        usable = None if blocks(problems) else mix
        self.trying.show_mix(usable, base)
        self.baking.show_mix(usable, suggested(mix))

    def _chat(self) -> None:
        mix, base = self.recipe(), self.trying.base
        if base is not None:
            self._session.background(
                mixing.draft, self._session.home, mix,
                done=lambda draft: self._session.open_chat.emit(str(base), [str(draft)]),
            )  # fmt: skip

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._reload()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.trying.leave()


def look(home: Home, mix: Mix) -> Looked:
    """The base, the adapters, and everything that is wrong with mixing them."""
    base = mixing.base_of(home, mix)
    return base, *mixing.look(home, mix, base)


def suggested(mix: Mix) -> str:
    """A name for the baked mix."""
    names = [one.name for one in mix.adapters]
    return " + ".join(names) if len(names) < 4 else f"{names[0]} + {len(names) - 1} more"
