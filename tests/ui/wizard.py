"""Hands for the wizard: clicks, keys and drops."""

from __future__ import annotations

import json
from pathlib import Path

from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import (
    QWidget,
)
from pytestqt.qtbot import QtBot

from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.dataset_step import DatasetStep
from studio.ui.pages.new_run.model_step import ModelStep
from studio.ui.widgets import DropZone, Field

LEFT = Qt.MouseButton.LeftButton
SLOW = 30_000


def click(qtbot: QtBot, button: QWidget) -> None:
    qtbot.mouseClick(button, LEFT)


def type_over(qtbot: QtBot, field: Field, text: str) -> None:
    """Replace what stands in a field by real keys."""
    edit = field.editor
    edit.setFocus()
    qtbot.keyClick(edit, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(edit, Qt.Key.Key_Delete)
    qtbot.keyClicks(edit, text)


def drop(zone: DropZone, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, keys = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    zone.dropEvent(QDropEvent(QPointF(5, 5), action, data, LEFT, keys))


def rows(path: Path, count: int, **columns: object) -> Path:
    line = json.dumps(columns)
    path.write_text(f"{line}\n" * count, encoding="utf-8")
    return path


def model_step(page: NewRunPage) -> ModelStep:
    step = page.step(0)
    assert isinstance(step, ModelStep)
    return step


def dataset_step(page: NewRunPage) -> DatasetStep:
    step = page.step(1)
    assert isinstance(step, DatasetStep)
    return step
