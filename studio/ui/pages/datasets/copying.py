"""A copy of a dataset, made so that its rows can be edited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QWidget

from studio.client.preparer import Preparer
from studio.core.own_sets import Built
from studio.core.recipe import DatasetPart
from studio.library.folders import legal_name
from studio.ui.pages.datasets.row_editor import RowEditor
from studio.ui.session import Session
from studio.ui.widgets import NameDialog

TEXT = "The studio keeps the copy; the file itself is never changed. What should it be called?"


def edit_copy(
    session: Session,
    parent: QWidget,
    part: DatasetPart,
    done: Callable[[str], object],
    changed: Callable[[], object],
) -> None:
    """Ask for a name, copy the dataset, open the copy's rows; `done` hears the copy's name, and
    `changed` is called whenever its rows have."""
    suggested = f"{legal_name(Path(part.path).stem, 'rows')}-edited"
    name = NameDialog(parent, "Edit a copy", TEXT, suggested, "Copy").ask()
    if not name:
        return

    def copied(built: Built) -> None:
        done(built.name)
        editor = RowEditor(session, built.name, parent)
        editor.changed.connect(lambda: changed())
        editor.open()

    session.prepare(_copy, part, name, done=copied)


def _copy(preparer: Preparer, part: DatasetPart, name: str) -> Built:
    return preparer.copy_dataset(part, name)
