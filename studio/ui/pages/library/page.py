"""The Library page: every adapter, found by words, tag and base, with what can be done with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QStackedWidget, QWidget

from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.ui.background import Task
from studio.ui.pages.library import story
from studio.ui.pages.library.details import Details
from studio.ui.pages.library.doing import Doing
from studio.ui.pages.library.export import Exports
from studio.ui.pages.library.filters import Filters
from studio.ui.pages.library.list_view import AdapterList
from studio.ui.session import Session
from studio.ui.tables.adapters import AdaptersModel
from studio.ui.widgets import (
    Button,
    Card,
    DropZone,
    EmptyState,
    Heading,
    IconButton,
    InlineMessage,
    Page,
    column,
    row,
)
from studio.ui.widgets.inputs import dropped_paths

MOST_BESIDE = 4
"""Adapters that a chat shows side by side."""
_DROP_HINT = "a PEFT folder, a zip archive or a GGUF adapter"


class LibraryPage(Page):
    """A list with the details of one adapter beside it; folders can be dropped anywhere on it."""

    def __init__(self, session: Session) -> None:
        super().__init__(scroll=False)
        self._session = session
        self._wanted = ""
        self._rows: list[AdapterFacts] = []
        self._telling: Task | None = None
        self.import_menu: QMenu | None = None
        self.model = AdaptersModel()
        self.list = AdapterList(self.model)
        self.details = Details()
        self.message = InlineMessage(closable=True)
        self.doing = Doing(session, self.message, self)
        self.exports = Exports(self, session, self.message)
        self.filters = Filters()
        self.trash = IconButton("trash", "Trash")
        self.add = Button("Import", "", "upload", f"Import {_DROP_HINT}")
        self.heading = Heading("Library", "", self.trash, self.add)
        self.setAcceptDrops(True)
        self._lay_out()
        self._connect()

    def reload(self, then_show: str = "") -> None:
        """Read the library again, in the background; `then_show` is the folder to select."""
        self._wanted = then_show or self._wanted
        self._session.background(adapters.listing, self._session.home, done=self._loaded)

    def selected(self) -> list[AdapterFacts]:
        """The adapters that are selected, the one in the details first."""
        current = self.details.facts
        rows = [index.row() for index in self.list.selectionModel().selectedRows()]
        others = [facts for line in rows if (facts := self.model.facts(line))]
        if current is None or current not in others:
            return others
        return [current, *(facts for facts in others if facts != current)]

    def _lay_out(self) -> None:
        self.empty = EmptyState(
            "box",
            "No adapters yet",
            "What you train arrives here, to chat with it, to compare it with its base and to "
            "merge it into a model of its own.",
            "New run",
        )
        self.other = DropZone("Drop adapters here", _DROP_HINT, compact=True)
        nothing = QWidget()
        nothing.setLayout(column(self.empty, self.other, spacing=12))
        self.none_found = EmptyState(
            "search", "Nothing found", "No adapter has all of these words, this tag and this base."
        )
        card = Card(margin=6, spacing=0)
        self._lists = QStackedWidget()
        self._lists.addWidget(self.list)
        self._lists.addWidget(self.none_found)
        card.add(self._lists)
        self.drop = DropZone("Drop adapters here", _DROP_HINT, compact=True)
        filled = QWidget()
        beside = row(spacing=16)
        beside.addLayout(column(self.filters, card, self.drop, spacing=12), 1)
        beside.addWidget(self.details)
        filled.setLayout(beside)
        self._stack = QStackedWidget()
        self._stack.addWidget(nothing)
        self._stack.addWidget(filled)
        self.body.addWidget(self.heading)
        self.body.addWidget(self.message)
        self.body.addWidget(self._stack, 1)
        self._show_counts()

    def _connect(self) -> None:
        session, details, doing = self._session, self.details, self.doing
        session.library_changed.connect(self.reload)
        session.jobs_changed.connect(lambda _: self.reload() if self.isVisible() else None)
        self.filters.changed.connect(self._narrow)
        self.trash.clicked.connect(doing.open_trash)
        self.add.clicked.connect(lambda: self._browse(self.add))
        for zone in (self.drop, self.other):
            zone.pressed.connect(partial(self._browse, zone))
            zone.dropped.connect(doing.bring)
        self.empty.button.clicked.connect(lambda: session.open_page.emit("new_run"))
        self.list.picked.connect(self._picked)
        self.list.selectionModel().selectionChanged.connect(lambda *_: self._offer())
        self.list.opened.connect(lambda _: self._chat())
        self.list.unwanted.connect(lambda _: doing.delete(self.selected()))
        self.list.asked.connect(self._menu)
        details.chat.clicked.connect(self._chat)
        details.compare.clicked.connect(self._compare)
        details.use.clicked.connect(lambda: doing.use(self.selected()))
        details.mix.clicked.connect(lambda: doing.mix(self.selected()))
        for button, act in (
            (details.merge, doing.merge), (details.export, doing.export),
            (details.rename, doing.rename),
        ):  # fmt: skip
            button.clicked.connect(partial(self._with_shown, act))
        details.delete.clicked.connect(lambda: doing.delete(self.selected()))
        details.folder.clicked.connect(
            partial(self._with_shown, lambda facts: doing.open_folder(facts.path))
        )
        details.annotated.connect(self._annotated)
        details.locate.clicked.connect(partial(self._with_shown, self._locate))
        details.recipe.clicked.connect(lambda: self._with_recipe(doing.open_folder))
        details.again.clicked.connect(lambda: self._with_recipe(session.recipe_wanted.emit))
        details.run.clicked.connect(partial(self._with_shown, self._open_run))
        details.lineage.adapter_wanted.connect(self._show_folder)
        details.lineage.made_wanted.connect(self._show_made)
        doing.arrived.connect(self._want)

    # the list

    def _loaded(self, rows: list[AdapterFacts]) -> None:
        shown = self._wanted or (self.details.facts.path if self.details.facts else "")
        self._wanted = ""
        self._rows = rows
        self.filters.offer(rows)
        self.model.set_rows(rows)
        self._narrow(shown)

    def _narrow(self, shown: str = "") -> None:
        shown = shown or (self.details.facts.path if self.details.facts else "")
        self.filters.narrow(self.model)
        self.list.pick(max(0, self.model.row_of(shown)))
        self._show_counts()

    def _show_counts(self) -> None:
        total, found = self.model.total, self.model.rowCount()
        self._stack.setCurrentIndex(1 if total else 0)
        self._lists.setCurrentIndex(0 if found else 1)
        self.add.setVisible(total > 0)
        self.details.setVisible(found > 0)
        words = f"{total} adapter" + ("s" if total != 1 else "") if total else ""
        if found != total:
            words = f"{found} of {words}"
        if (chosen := len(self.list.selectionModel().selectedRows())) > 1:
            words += f", {chosen} selected"
        self.heading.set_text("Library", words)

    def _picked(self, line: int) -> None:
        facts = self.model.facts(line)
        if facts is None:
            return
        self.details.show_adapter(facts)
        there = frozenset(each.folder for each in self._rows)
        self.details.show_lineage(adapters.children(facts, self._rows), there)
        self._offer()
        if self._telling is not None:
            self._telling.cancel()
        self._telling = self._session.background(
            story.tell, self._session.home, facts, done=self.details.show_story
        )

    def _offer(self) -> None:
        """What can be done with so many."""
        chosen = [facts for facts in self.selected() if not facts.problem]
        self._show_counts()
        self.details.compare.setVisible(1 < len(chosen) <= MOST_BESIDE)
        self.details.offer(
            mix=self.doing.offered("open_mix"), export=self.doing.offered("open_export")
        )

    def _show_folder(self, folder: str) -> None:
        """Select an adapter by its folder's name, whatever is searched for now."""
        path = next((row.path for row in self._rows if row.folder == folder), "")
        if path and self.model.row_of(path) < 0:
            self.filters.clear()
            self._narrow(path)
        self.list.pick(self.model.row_of(path))
        self.list.setFocus()

    def _show_made(self, path: str) -> None:
        if self.details.facts is not None:
            self.exports.show_all(self.details.facts, path)

    def _want(self, path: str) -> None:
        self._wanted = path

    # what is asked of it

    def _chat(self) -> None:
        if self.details.facts is not None:
            self.doing.chat([self.details.facts])

    def _compare(self) -> None:
        self.doing.chat(self.selected()[:MOST_BESIDE])

    def _with_shown(self, act: object, _: bool = False) -> None:
        if self.details.facts is not None and callable(act):
            act(self.details.facts)

    def _with_recipe(self, act: object) -> None:
        told = self.details.story
        if told is not None and told.recipe and callable(act):
            act(told.recipe)

    def _annotated(self, notes: str | None, tags: list[str] | None) -> None:
        if self.details.facts is not None:
            self.doing.annotate(self.details.facts, notes, tags)

    def _locate(self, facts: AdapterFacts) -> None:
        why = self.details.story.missing if self.details.story else ""
        self.doing.locate(facts, why)

    def _open_run(self, facts: AdapterFacts) -> None:
        self._session.open_run.emit(str(self._session.home.runs / facts.run))

    def _browse(self, at: QWidget) -> None:
        menu = QMenu(self)
        menu.addAction("PEFT folder …", self._browse_folder)
        menu.addAction("Zip archive or GGUF adapter …", self._browse_file)
        menu.aboutToHide.connect(menu.deleteLater)
        self.import_menu = menu
        menu.popup(at.mapToGlobal(at.rect().bottomLeft()))

    def _browse_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Adapter folder (adapter_config.json)")
        if chosen:
            self.doing.bring([Path(chosen)])

    def _browse_file(self) -> None:
        kinds = "Adapters (*.zip *.gguf *.safetensors)"
        chosen, _ = QFileDialog.getOpenFileNames(self, "Adapters", "", kinds)
        self.doing.bring([Path(path) for path in chosen])

    def _menu(self, line: int, place: QPoint) -> None:
        if line not in [index.row() for index in self.list.selectionModel().selectedRows()]:
            self.list.pick(line)
        menu = QMenu(self)
        usable = bool(self.details.facts and not self.details.facts.problem)
        for button in (
            self.details.chat, self.details.compare, self.details.mix, self.details.merge,
            self.details.export, self.details.use, self.details.rename,
        ):  # fmt: skip
            if not button.isHidden():
                menu.addAction(button.accessibleName(), button.click).setEnabled(usable)
        menu.addSeparator()
        menu.addAction("Delete", self.details.delete.click)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.reload()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if paths := dropped_paths(event):
            event.acceptProposedAction()
            self.doing.bring(paths)
