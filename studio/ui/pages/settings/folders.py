"""Where things are, how much room they take, and one more place to look for models."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QGridLayout

from studio.core.problem import Problem
from studio.library import trash
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    ConfirmDialog,
    ElidedLabel,
    Field,
    IconButton,
    PathField,
    Separator,
    label,
    row,
)

KEYS = ("home", "models", "adapters", "runs", "trash")


def places(home: Home) -> dict[str, tuple[str, Path]]:
    """What is shown, by key: a name and a folder."""
    return {
        "home": ("The studio's folder", home.root),
        "models": ("Models", home.models),
        "adapters": ("Adapters", home.adapters),
        "runs": ("Runs", home.runs),
        "trash": ("Trash", home.trash),
    }


def sizes(home: Home, cancelled: Callable[[], bool]) -> dict[str, int]:
    """Bytes below each of the folders; what vanishes meanwhile counts nothing."""
    return {key: _size(folder, cancelled) for key, (_, folder) in places(home).items()}


class FoldersCard(Card):
    """Paths with their sizes; each opens in the desktop's file manager."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=16)
        self._session = session
        self._sizes = {key: label("", "mute") for key in KEYS}
        self.empty = Button("Empty trash", icon_name="trash")
        self.empty.setEnabled(False)
        self.empty.clicked.connect(self._empty_trash)
        self.extra = PathField("Also look for models in", folder=True, placeholder="No folder")
        self.extra.set_path(session.settings.models_folder)
        self.extra.picked.connect(self._save_extra)
        hint = "Each folder in it with config.json and safetensors weights is offered as a model."
        self._field = Field("Also look for models in", self.extra, hint)
        moving = "To keep everything elsewhere, start with --home or set FINETUNE_STUDIO_HOME."
        self.add(row(label("Folders", "h2"), None, self.empty), self._table())
        self.add(label(moving, "mute", wrap=True), Separator(), self._field)

    def measure(self) -> None:
        """Count the bytes again, off the window's thread."""
        self._session.background(sizes, self._session.home, done=self._show_sizes)

    def open_folder(self, folder: Path) -> None:
        """Show the folder in the desktop's file manager."""
        folder.mkdir(parents=True, exist_ok=True)
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._session.said.emit(f"No file manager opened {folder}", "warn")

    def ask(self) -> bool:
        """Whether the trash may go for good."""
        dialog = ConfirmDialog(
            self,
            "Empty the trash?",
            "What was deleted goes for good, and can't be restored.",
            [("empty", "Empty trash", "danger")],
            icon_name="trash",
        )
        return dialog.ask() == "empty"

    def _table(self) -> QGridLayout:
        table = QGridLayout()
        table.setContentsMargins(0, 0, 0, 0)
        table.setHorizontalSpacing(16)
        table.setVerticalSpacing(6)
        table.setColumnStretch(1, 1)
        for line, (key, (name, folder)) in enumerate(places(self._session.home).items()):
            opener = IconButton("folder", f"Open {name.lower()}")
            opener.clicked.connect(lambda _=False, chosen=folder: self.open_folder(chosen))
            table.addWidget(label(name, "b"), line, 0)
            table.addWidget(ElidedLabel(str(folder), "mono"), line, 1)
            table.addWidget(self._sizes[key], line, 2, Qt.AlignmentFlag.AlignRight)
            table.addWidget(opener, line, 3)
        return table

    def _show_sizes(self, found: dict[str, int]) -> None:
        for key, size in found.items():
            self._sizes[key].setText(say.size(size) if size else "empty")
        self.empty.setEnabled(found["trash"] > 0)

    def _empty_trash(self) -> None:
        if self.ask():
            self.empty.setEnabled(False)
            self._session.background(trash.empty, self._session.home, done=self._emptied)

    def _emptied(self, count: int) -> None:
        folders = "1 folder is" if count == 1 else f"{count} folders are"
        self._session.said.emit(f"{folders} gone for good", "ok")
        self.measure()

    def _save_extra(self, path: str) -> None:
        if path and not Path(path).expanduser().is_dir():
            problem = Problem(
                field="models_folder",
                text=f"There is no folder {path}.",
                fix="Pick a folder that exists, or leave this empty.",
            )
            self._field.show_problems([problem])
            return
        self._field.show_problems([])
        self._session.change_settings(models_folder=path)
        self._session.models_changed.emit()


def _size(folder: Path, cancelled: Callable[[], bool]) -> int:
    total, waiting = 0, [str(folder)]
    while waiting and not cancelled():
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
