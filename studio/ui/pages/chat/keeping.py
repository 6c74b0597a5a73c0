"""The conversation on screen and its file: written at every change, opened, renamed, deleted."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from studio.core.chats import Kept
from studio.library import chat_export, chats
from studio.library.folders import legal_name
from studio.library.trash import Trashed
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog, NameDialog

_GROWING_MS = 2000
"""While an answer grows it is written this often."""


class Keeping(QObject):
    """Owns the conversation. What nobody said anything in yet has no file."""

    opened = Signal()
    """Another conversation is on screen from now on."""
    listed = Signal()
    """What lies on the disk is different from now on."""

    def __init__(self, session: Session, page: QWidget) -> None:
        super().__init__(page)
        self._session, self._page = session, page
        self.kept: Kept = chats.new()
        self._gone: set[str] = set()
        self._growing = QTimer(self)
        self._growing.setInterval(_GROWING_MS)
        self._growing.timeout.connect(lambda: self._write(self.kept, self._ignore))

    def begin(self, **known: object) -> None:
        """A new conversation."""
        self.kept = chats.new(**known)
        self.opened.emit()

    def open(self, id: str) -> None:
        """Another conversation, exactly as it was left."""
        if id != self.kept.id:
            self._session.background(chats.load, self._session.home, id, done=self._loaded)

    def save(self, kept: Kept | None = None) -> None:
        """Write it as it is now, or one that was on screen before; the list follows."""
        self._write(kept or self.kept, lambda _: self.listed.emit())

    def set_growing(self, growing: bool) -> None:
        """Whether an answer grows, which is written now and then."""
        if growing and not self._growing.isActive():
            self._growing.start()
        elif not growing:
            self._growing.stop()

    def rename(self, id: str, title: str) -> None:
        """Ask for another title."""
        text = "The conversation is found by it, and by all that was said."
        wanted = NameDialog(self._page, "Rename the conversation", text, title, "Rename").ask()
        if not wanted:
            return
        if id == self.kept.id:
            self.kept.title, self.kept.named = " ".join(wanted.split()), True
            self.opened.emit()
        self._session.write(
            chats.rename, self._session.home, id, wanted, done=lambda _: self.listed.emit()
        )

    def delete(self, id: str) -> None:
        """Move one to the trash."""
        text = "It goes to the trash of the studio, from where it can be brought back."
        answers = [("delete", "Delete", "danger")]
        asked = ConfirmDialog(self._page, "Delete the conversation?", text, answers)
        if asked.ask():
            self._gone.add(id)  # what is still being answered in it isn't written any more
            self._session.write(
                chats.delete, self._session.home, id, done=lambda gone: self._deleted(id, gone)
            )

    def copy(self) -> None:
        """The conversation as Markdown, onto the clipboard."""
        QGuiApplication.clipboard().setText(chat_export.markdown(self.kept))
        self._session.said.emit("The conversation was copied.", "ok")

    def export(self) -> None:
        """Write it where the user wants it, as Markdown or as rows."""
        name = legal_name(self.kept.title, "conversation")
        kinds = "Markdown (*.md);;Chat rows for the Dataset step (*.jsonl)"
        file, kind = QFileDialog.getSaveFileName(
            self._page, "Export the conversation", f"{Path.home() / name}.md", kinds
        )
        if not file:
            return
        path = Path(file)
        if "jsonl" in kind and path.suffix.lower() != ".jsonl":
            path = path.with_suffix(".jsonl")
        self.export_to(path)

    def export_to(self, path: Path) -> None:
        """Write it there; the dialog has asked whether a file may be replaced."""
        self._session.background(
            lambda kept: chat_export.write(kept, path, replace=True), copy.deepcopy(self.kept),
            done=lambda made: self._session.said.emit(f"Written to {made}.", "ok"),
        )  # fmt: skip

    def _write(self, kept: Kept, done: Callable[[object], None]) -> None:
        if kept.turns and kept.id not in self._gone:
            now = copy.deepcopy(kept)
            self._session.write(chats.save, self._session.home, now, done=done)

    def _ignore(self, path: object) -> None:
        """While an answer grows the list stays as it is."""

    def _loaded(self, kept: Kept) -> None:
        self.kept = kept
        self._gone.discard(kept.id)
        self.opened.emit()

    def _deleted(self, id: str, gone: Trashed) -> None:
        self._session.said.emit(f"“{gone.title}” is in the trash.", "info")
        if id == self.kept.id:
            self.begin()
        self.listed.emit()
