"""A dialog that makes an own set of a folder of text, cut into passages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QWidget

from studio.client.actions.datasets import CHARACTERS, TOKENS, build_from_folder
from studio.client.lanes import Asked, Progress
from studio.client.preparer import Preparer
from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.core.own_sets import Built
from studio.library import models, own_datasets
from studio.library.folders import Home, free_path, legal_name
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    ElidedLabel,
    Field,
    InlineMessage,
    LineEdit,
    NumberEdit,
    ProgressBar,
    column,
    label,
    row,
)

_LONGEST = 60
"""Characters of a folder's name in that of its set, so that a number fits behind them."""

_NO_NUMBERS = StudioError(
    "Sizes make no sense",
    "Length and overlap are whole numbers.",
    "Type a length of 1 or more, and an overlap of 0 or more.",
)


def cut_folder(
    session: Session,
    parent: QWidget,
    folder: Path,
    model: ModelFacts | None,
    done: Callable[[str], object],
) -> None:
    """Ask how to cut the texts of a folder; `done` hears the name of the set made of them."""

    def ask(name: str) -> None:
        usable = model if model and not models.errors(model) else None
        dialog = CutDialog(session, parent, folder, usable, name)
        dialog.built.connect(done)
        dialog.open()

    session.background(_free_name, session.home, folder, done=ask)


class CutDialog(QDialog):
    """Name, length and overlap; then how far it is. Leaving it gives the set up."""

    built = Signal(str)
    """The new set's name."""

    def __init__(
        self, session: Session, parent: QWidget, folder: Path, model: ModelFacts | None, name: str
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._session, self._folder = session, folder
        self._model = Path(model.path) if model else None
        self._task: Task | None = None
        unit = "tokens" if model else "characters"
        self.name = LineEdit("Name of the set", name)
        self.length = NumberEdit(f"Longest passage, in {unit}", whole=True, minimum=1, step=64)
        self.length.set_number(TOKENS if model else CHARACTERS)
        self.overlap = NumberEdit(f"Overlap, in {unit}", whole=True, step=16)
        self.overlap.set_number(0)
        counted = f"Tokens as {model.name} counts them." if model else "Characters."
        self._fields = QWidget()
        sizes = row(
            Field("Longest passage", self.length, counted),
            Field("Overlap", self.overlap, "Repeated from the passage before."),
            spacing=16,
        )
        named = Field("Name", self.name, "The set stands by this name wherever a dataset may.")
        self._fields.setLayout(column(named, sizes, spacing=14))
        self.message = InlineMessage()
        self.cancel_button = Button("Cancel")
        self.build_button = Button("Build", "primary")
        self._lay_out()
        self.cancel_button.clicked.connect(self.reject)
        self.build_button.clicked.connect(self.build)
        for edit in (self.name, self.length, self.overlap):
            edit.returnPressed.connect(self.build)
        self.name.selectAll()
        self.name.setFocus()

    def build(self) -> None:
        """Begin, unless it has begun."""
        length, overlap = self.length.number(), self.overlap.number()
        if self._task is not None:
            return
        if length is None or overlap is None:
            self._say(_NO_NUMBERS)
            return
        self.message.hide()
        self._show_progress("Getting ready", None)
        name, model = self.name.text(), self._model
        home, folder = self._session.home, self._folder
        work = partial(_build, home, folder, name, int(length), int(overlap), model)
        self._set_busy(True)
        self._task = self._session.prepare(
            work, done=self._done, failed=self._failed, progress=self._show_progress
        )

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def done(self, result: int) -> None:
        """Give up what is under way, whichever way the dialog is left."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        super().done(result)

    def _lay_out(self) -> None:
        title = "Build a dataset from text"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setModal(True)
        self.setFixedWidth(520)
        about = label(
            "Each text file in the folder is cut into passages at its paragraphs, one a row. "
            "The files themselves stay as they are.",
            "sub",
            wrap=True,
        )
        self.doing = ElidedLabel("", "mute")
        self.bar = ProgressBar("Progress")
        self._progress = QWidget()
        self._progress.setLayout(column(self.doing, self.bar, spacing=6))
        self._progress.hide()
        head = column(label(title, "h2"), ElidedLabel(str(self._folder), "mute"), spacing=4)
        buttons = row(self.cancel_button, None, self.build_button)
        whole = column(
            head, about, self._fields, self._progress, self.message, 4, buttons, spacing=14
        )
        whole.setContentsMargins(24, 22, 24, 20)
        self.setLayout(whole)

    def _set_busy(self, busy: bool) -> None:
        if busy:
            self.cancel_button.setFocus()
        self._fields.setEnabled(not busy)
        self.build_button.setEnabled(not busy)
        self._progress.setVisible(busy)
        self._fit()

    def _say(self, error: StudioError) -> None:
        self.message.show_error(error)
        self._fit()

    def _fit(self) -> None:
        """As high as what is shown: words that wrap aren't squeezed into the height there was."""
        layout = self.layout()
        if layout is not None:
            layout.activate()
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))

    def _show_progress(self, text: str, share: float | None) -> None:
        self.doing.setText(text)
        self.bar.set_value(share)

    def _done(self, built: Built) -> None:
        self._task = None
        rows = f"“{built.name}”: {say.count(built.rows)} passages"
        if built.problems:
            self._session.said.emit(f"{rows}. {built.problems[0].text}", "warn")
        else:
            self._session.said.emit(f"{rows}.", "ok")
        self.built.emit(built.name)
        self.accept()

    def _failed(self, error: StudioError) -> None:
        self._task = None
        self._set_busy(False)
        self._say(error)
        self.name.setFocus()


def _free_name(home: Home, folder: Path) -> str:
    """A name for a set of this folder that no set has."""
    name = legal_name(folder.name[:_LONGEST], "texts")
    while True:
        name = free_path(home.datasets, name).name
        try:
            return own_datasets.free_name(home, name)
        except StudioError:
            name = f"{name}-texts"


def _build(
    home: Home,
    folder: Path,
    name: str,
    size: int,
    overlap: int,
    model: Path | None,
    preparer: Preparer,
    progress: Progress,
    cancelled: Asked,
) -> Built:
    built = build_from_folder(
        home, folder, name, size=size, overlap=overlap, model=model, preparer=preparer,
        progress=progress, cancelled=cancelled,
    )  # fmt: skip
    if cancelled():
        own_datasets.delete(home, built.name)
    return built
