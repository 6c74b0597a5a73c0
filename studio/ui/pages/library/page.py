"""The Library page: every adapter, and Chat, Merge, Rename, Delete and Import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QUrl, SignalInstance
from PySide6.QtGui import QDesktopServices, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QStackedWidget, QWidget

from studio.core.errors import StudioError
from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.library.trash import Trashed
from studio.ui.pages.library.details import Details
from studio.ui.pages.library.list_view import AdapterList
from studio.ui.pages.library.merge_dialog import MergeDialog
from studio.ui.pages.library.merging import Merging, grade
from studio.ui.session import Session
from studio.ui.tables.adapters import AdaptersModel
from studio.ui.widgets import (
    Button,
    Card,
    DropZone,
    EmptyState,
    Heading,
    InlineMessage,
    LineEdit,
    NameDialog,
    Page,
    column,
    row,
)
from studio.ui.widgets.inputs import dropped_paths

SEARCH_WIDTH = 240
_DROP_HINT = "drop a PEFT folder here, or press to choose"


class LibraryPage(Page):
    """A list with the details of one adapter beside it; folders can be dropped anywhere on it."""

    def __init__(self, session: Session) -> None:
        super().__init__(scroll=False)
        self._session = session
        self._wanted = ""
        self._deleted: Trashed | None = None
        self.dialog: MergeDialog | None = None
        self.model = AdaptersModel()
        self.list = AdapterList(self.model)
        self.details = Details()
        self.message = InlineMessage(closable=True)
        self.search = LineEdit("Search adapters", "", "Search", "search")
        self.search.setFixedWidth(SEARCH_WIDTH)
        self.search.setClearButtonEnabled(True)
        self.add = Button("Import", "", "upload", "Import an adapter folder made elsewhere")
        self.heading = Heading("Library", "", self.search, self.add)
        self.setAcceptDrops(True)
        self._lay_out()
        self._connect()

    def reload(self, then_show: str = "") -> None:
        """Read the library again, in the background; `then_show` is the folder to select."""
        self._wanted = then_show or self._wanted
        self._session.background(adapters.listing, self._session.home, done=self._loaded)

    def import_paths(self, paths: list[Path]) -> None:
        """Copy adapter folders made elsewhere into the library."""
        for path in paths:
            self._session.background(
                adapters.import_folder, self._session.home, path,
                done=self._imported, failed=self.message.show_error,
            )  # fmt: skip

    def _lay_out(self) -> None:
        self.empty = EmptyState(
            "box",
            "No adapters yet",
            "What you train arrives here, to chat with it, to compare it with its base and to "
            "merge it into a model of its own.",
            "New run",
        )
        self.other = DropZone("Import an adapter", _DROP_HINT, compact=True)
        nothing = QWidget()
        nothing.setLayout(column(self.empty, self.other, spacing=12))
        self.none_found = EmptyState(
            "search", "Nothing found", "No adapter's name, base, method or dataset matches."
        )
        card = Card(margin=6, spacing=0)
        self._lists = QStackedWidget()
        self._lists.addWidget(self.list)
        self._lists.addWidget(self.none_found)
        card.add(self._lists)
        self.drop = DropZone("Import an adapter", _DROP_HINT, compact=True)
        filled = QWidget()
        beside = row(spacing=16)
        beside.addLayout(column(card, self.drop, spacing=12), 1)
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
        session = self._session
        session.library_changed.connect(self.reload)
        session.jobs_changed.connect(lambda _: self.reload() if self.isVisible() else None)
        self.search.textChanged.connect(self._searched)
        self.add.clicked.connect(self._browse)
        for zone in (self.drop, self.other):
            zone.pressed.connect(self._browse)
            zone.dropped.connect(self.import_paths)
        self.empty.button.clicked.connect(lambda: session.open_page.emit("new_run"))
        self.list.picked.connect(self._picked)
        self.list.opened.connect(lambda _: self._chat())
        self.list.unwanted.connect(lambda _: self._delete())
        self.list.asked.connect(self._menu)
        self.details.chat.clicked.connect(self._chat)
        self.details.merge.clicked.connect(self._merge)
        self.details.use.clicked.connect(self._use)
        self.details.rename.clicked.connect(self._rename)
        self.details.delete.clicked.connect(self._delete)
        self.details.folder.clicked.connect(self._open_folder)
        self.message.acted.connect(self._undo)

    def _loaded(self, rows: list[AdapterFacts]) -> None:
        shown = self._wanted or (self.details.facts.path if self.details.facts else "")
        self._wanted = ""
        self.model.set_rows(rows)
        self.list.pick(max(0, self.model.row_of(shown)))
        self._show_counts()

    def _searched(self, text: str) -> None:
        shown = self.details.facts.path if self.details.facts else ""
        self.model.set_search(text)
        self.list.pick(max(0, self.model.row_of(shown)))
        self._show_counts()

    def _show_counts(self) -> None:
        total = self.model.total
        self._stack.setCurrentIndex(1 if total else 0)
        self._lists.setCurrentIndex(0 if self.model.rowCount() else 1)
        self.search.setVisible(total > 0)
        self.add.setVisible(total > 0)
        self.details.setVisible(self.model.rowCount() > 0)
        words = f"{total} adapter" + ("s" if total != 1 else "") if total else ""
        self.heading.set_text("Library", words)

    def _picked(self, line: int) -> None:
        facts = self.model.facts(line)
        if facts is not None:
            self.details.show_adapter(facts)

    def _chat(self) -> None:
        self._with_base(self._session.open_chat)

    def _use(self) -> None:
        self._with_base(self._session.open_serving)

    def _with_base(self, wanted: SignalInstance) -> None:
        facts = self.details.facts
        if facts is None or facts.problem:
            return
        self._session.background(
            _with_base, self._session.home, facts,
            done=lambda found: wanted.emit(*found), failed=self.message.show_error,
        )  # fmt: skip

    def _merge(self) -> None:
        if self.details.facts is None:
            return
        merging = Merging(self._session, self.details.facts, self)
        merging.finished.connect(lambda result: self._merged(merging, result))
        merging.failed.connect(lambda error: self._merge_failed(merging, error))
        self.dialog = MergeDialog(self, self._session, merging)
        self.dialog.finished.connect(self._dialog_closed)
        self.dialog.open()

    def _merged(self, merging: Merging, result: dict[str, Any]) -> None:
        self._session.models_changed.emit()
        if self.dialog is None:
            tone = "warn" if grade(result)[1] == "err" else "ok"
            said = f"{merging.facts.name} is merged: check {grade(result)[0].lower()}"
            self._session.said.emit(said, tone)

    def _merge_failed(self, merging: Merging, error: StudioError) -> None:
        if self.dialog is None:
            self.message.show_error(error)

    def _dialog_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _rename(self) -> None:
        facts = self.details.facts
        if facts is None:
            return
        words = "The adapter's name in the studio; its folder stays where it is."
        name = NameDialog(self, "Rename adapter", words, facts.name, "Rename").ask()
        if name and name != facts.name:
            self._session.background(
                adapters.rename, self._session.home, Path(facts.path), name,
                done=lambda _: self._session.library_changed.emit(),
                failed=self.message.show_error,
            )  # fmt: skip

    def _delete(self) -> None:
        facts = self.details.facts
        if facts is not None:
            self._session.background(
                adapters.delete, self._session.home, Path(facts.path),
                done=lambda entry: self._is_deleted(facts.name, entry),
                failed=self.message.show_error,
            )  # fmt: skip

    def _is_deleted(self, name: str, entry: Trashed) -> None:
        self._deleted = entry
        self.message.show_message(
            f"{name} is in the trash", "", "It can be taken back.", "info", "Undo"
        )
        self._session.library_changed.emit()

    def _undo(self) -> None:
        entry, self._deleted = self._deleted, None
        self.message.hide()
        if entry is not None:
            self._session.background(
                adapters.restore, self._session.home, entry,
                done=lambda path: self._imported(path, ""), failed=self.message.show_error,
            )  # fmt: skip

    def _imported(self, path: Path, said: str = "Adapter imported") -> None:
        self._wanted = str(path)
        if said:
            self.message.hide()
            self._session.said.emit(said, "ok")
        self._session.library_changed.emit()

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Adapter folder (adapter_config.json)")
        if chosen:
            self.import_paths([Path(chosen)])

    def _open_folder(self) -> None:
        if self.details.facts is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self.details.facts.path))

    def _menu(self, line: int, place: QPoint) -> None:
        self.list.pick(line)
        menu = QMenu(self)
        usable = bool(self.details.facts and not self.details.facts.problem)
        acts = (
            ("Chat", self._chat),
            ("Merge", self._merge),
            ("Use it in other programs", self._use),
            ("Rename", self._rename),
        )
        for text, act in acts:
            menu.addAction(text, act).setEnabled(usable)
        menu.addSeparator()
        menu.addAction("Delete", self._delete)
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
            self.import_paths(paths)


def _with_base(home: Home, facts: AdapterFacts) -> tuple[str, list[str]]:
    """The base's folder and the adapter, as `open_chat` and `open_serving` take them."""
    return str(adapters.base_of(home, facts)), [facts.path]
