"""Where rows come from: the sample, a file or folder of one's own, the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from studio.core.own_sets import ORIGINS, OwnSet
from studio.library.datasets import SAMPLE
from studio.ui import format as say
from studio.ui.widgets import (
    Button,
    DropZone,
    Field,
    IconButton,
    LineEdit,
    OptionCard,
    clear,
    column,
    label,
    row,
)
from studio.ui.widgets.flow import AdaptiveGrid, FlowLayout

FILTERS = (
    "Datasets (*.jsonl *.ndjson *.json *.csv *.tsv *.parquet *.arrow *.feather *.txt *.md"
    " *.gz *.bz2 *.xz *.zst *.zip);;All files (*)"
)


class DatasetChooser(QWidget):
    """`chosen` gives the fields of a core.recipe.DatasetPart; `closed` says that none is wanted."""

    chosen = Signal(dict)
    closed = Signal()
    texts_chosen = Signal(str)
    """A folder of texts that are to be cut into passages."""

    def __init__(self) -> None:
        super().__init__()
        self.close_button = IconButton("x", "Add no other dataset")
        self.close_button.clicked.connect(self.closed)
        self._head = label("ADD ANOTHER DATASET", "cap")
        self._another = QWidget()
        self._another.setLayout(row(self._head, None, self.close_button))
        self._first = QWidget()
        self.sample = OptionCard(
            "The sample dataset",
            "440 short notes, each turned into one exact JSON form. Comes with the studio, CC0.",
            "file",
        )
        self.sample.clicked.connect(lambda: self._choose(SAMPLE))
        own = label("YOUR OWN", "cap")
        cap = label("FOR A FIRST TRY", "cap")
        self._first.setLayout(column(cap, self.sample, 4, own, spacing=12))
        self.drop = DropZone(
            "Drop a file or folder here",
            "or press to browse: JSONL, JSON, CSV, Parquet, Arrow or text, compressed or not",
        )
        self.drop.dropped.connect(self._dropped)
        self.drop.pressed.connect(self._browse)
        self.folder = Button("Choose a folder", icon_name="folder")
        self.folder.clicked.connect(self._browse_folder)
        self.typed = LineEdit("Path of a dataset", placeholder="Or type a path", icon_name="file")
        self.typed.returnPressed.connect(lambda: self._choose(self.typed.text().strip()))
        self.texts = Button("From a folder of text\N{HORIZONTAL ELLIPSIS}", "ghost", "file")
        self.texts.setToolTip("Cut text files into passages, and learn from those")
        self.texts.clicked.connect(self._browse_texts)
        files = row(self.typed, self.folder, spacing=10)
        self._sets = FlowLayout(6)
        self.sets = QWidget()
        self.sets.setLayout(self._sets)
        self.sets.hide()
        hub = label("FROM THE HUGGING FACE HUB", "cap")
        paths = column(files, row(self.texts, None), self.sets, spacing=12)
        whole = (self._another, self._first, self.drop, paths, 4, hub, self._hub())
        self.setLayout(column(*whole, spacing=12))
        self.ask_for_first(True)

    def ask_for_first(self, first: bool) -> None:
        """Whether there is no dataset yet, or another one is to be added."""
        self._first.setVisible(first)
        self._another.setVisible(not first)

    def offer(self, sets: Sequence[OwnSet]) -> None:
        """Offer the studio's own sets, such as the one of rated chats."""
        clear(self._sets)
        for one in sets:
            words = f"{one.name}: {say.count(one.rows)} rows, {ORIGINS[one.origin]}"
            button = Button(words, "chip", tip=one.problem)
            button.setEnabled(bool(one.rows) and not one.problem)
            button.clicked.connect(partial(self._choose, one.name))
            self._sets.addWidget(button)
        self.sets.setVisible(bool(sets))

    def _hub(self) -> QWidget:
        self.hub_id = LineEdit(
            "Dataset of the hub", placeholder="organisation/name", icon_name="search"
        )
        self.config = LineEdit("Configuration", placeholder="Optional")
        self.split = LineEdit("Split", placeholder="Optional, as train")
        self.revision = LineEdit("Revision", placeholder="Newest")
        self.get = Button("Get", "primary", "download")
        self.get.clicked.connect(self._choose_hub)
        for edit in (self.hub_id, self.config, self.split, self.revision):
            edit.returnPressed.connect(self._choose_hub)
            edit.textEdited.connect(lambda _: self._may_get())
        self._may_get()
        head = row(Field("Name or address", self.hub_id), spacing=10)
        more = AdaptiveGrid(
            3,
            130,
            Field("Configuration", self.config),
            Field("Split", self.split),
            Field("Revision", self.revision),
        )
        whole = QWidget()
        foot = row(label("Downloaded once, then read from this machine.", "mute"), None, self.get)
        whole.setLayout(column(head, more, foot, spacing=10))
        return whole

    def _may_get(self) -> None:
        self.get.setEnabled("/" in self.hub_id.text().strip())

    def _choose_hub(self) -> None:
        if not self.get.isEnabled():
            return
        values = {
            "path": self.hub_id.text(),
            "config": self.config.text(),
            "split": self.split.text(),
            "revision": self.revision.text(),
        }
        self._done({name: text.strip() for name, text in values.items() if text.strip()})

    def _dropped(self, paths: list[Path]) -> None:
        for path in paths:
            self._choose(str(path))

    def _choose(self, path: str, _on: bool = False) -> None:
        if path:
            self._done({"path": path})

    def _done(self, part: dict[str, Any]) -> None:
        for edit in (self.typed, self.hub_id, self.config, self.split, self.revision):
            edit.clear()
        self._may_get()
        self.sample.setChecked(False)
        self.chosen.emit(part)

    def _browse(self) -> None:
        self._choose(QFileDialog.getOpenFileName(self, "Choose a dataset", "", FILTERS)[0])

    def _browse_folder(self) -> None:
        self._choose(QFileDialog.getExistingDirectory(self, "Choose a folder with a dataset"))

    def _browse_texts(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, "Choose a folder of text"):
            self.texts_chosen.emit(path)
