"""Columns get their roles by clicks and keys, and what comes of it shows at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QLabel, QMenu
from pytestqt.qtbot import QtBot

from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.mapping import Mapping
from studio.ui.pages.new_run.roles import given
from studio.ui.widgets import Button
from tests.ui.wizard import LEFT, SLOW, click, dataset_step, drop, rows


def choose(qtbot: QtBot, mapping: Mapping, column: int, words: str, keys: bool = False) -> None:
    """Open the menu of a column by its header or by keys, and take an entry by keys."""
    if keys:
        mapping.table.setFocus()
        mapping.table.setCurrentCell(0, column)
        qtbot.keyClick(mapping.table, Qt.Key.Key_Return)
    else:
        header = mapping.table.horizontalHeader()
        x = header.sectionViewportPosition(column) + 8
        qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(x, header.height() // 2))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    action = next(each for each in menu.actions() if each.text().startswith(words))
    menu.setActiveAction(action)
    qtbot.keyClick(menu, Qt.Key.Key_Return)


def said(mapping: Mapping) -> str:
    """What the row comes to, as it stands beneath the table."""
    return " ".join(each.text() for each in mapping._result.findChildren(QLabel))


def chips(mapping: Mapping) -> dict[str, Button]:
    return {each.text(): each for each in mapping.readings.findChildren(Button)}


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_columns_that_nobody_knows_are_mapped_by_clicks_and_keys(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    chosen.go(1)
    step = dataset_step(chosen)
    path = rows(tmp_path / "odd.jsonl", 30, frage="How are you?", reply="I am well.", nr=7)
    drop(step.chooser.drop, path)
    qtbot.waitUntil(
        lambda: step.mapping.isVisible() and step.mapping.table.rowCount() > 0, timeout=SLOW
    )
    assert "dataset" in {problem.field for problem in chosen.draft.blocking}
    choose(qtbot, step.mapping, 0, "Prompt")
    choose(qtbot, step.mapping, 1, "Answer", keys=True)
    qtbot.waitUntil(lambda: "I am well." in said(step.mapping), timeout=SLOW)
    assert "Not used: nr." in step.mapping._learnt.text()
    head = step.mapping.table.horizontalHeaderItem(1)
    assert head is not None
    assert "Answer" in head.text()
    qtbot.waitUntil(
        lambda: chosen.draft.report is not None and chosen.draft.report.usable_rows == 30,
        timeout=SLOW,
    )
    assert chosen.draft.blocking == []
    mapping = {"prompt": "frage", "completion": "reply"}
    assert dict(chosen.draft.recipe.dataset[0].columns) == mapping
    qtbot.waitUntil(lambda: "I am well." in step.lens.text.toPlainText(), timeout=SLOW)


def test_another_reading_is_one_click_away(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "both.jsonl"
    row = {"instruction": "Say hi.", "output": "Hi!", "text": "Once upon a time there was a hen."}
    path.write_text(f"{json.dumps(row)}\n" * 30, encoding="utf-8")
    chosen.go(1)
    step = dataset_step(chosen)
    chosen.draft.set_dataset(str(path))
    qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
    if not step.mapping.isVisible():
        click(qtbot, step.cards[0].map)
    qtbot.waitUntil(lambda: len(chips(step.mapping)) >= 2, timeout=SLOW)
    first = next(each for each in chips(step.mapping).values() if each.isChecked())
    other = next(each for each in chips(step.mapping).values() if not each.isChecked())
    before, name, itself = said(step.mapping), other.text(), first.text()
    click(qtbot, other)
    qtbot.waitUntil(lambda: said(step.mapping) != before, timeout=SLOW)
    assert chips(step.mapping)[name].isChecked()
    assert chosen.draft.recipe.dataset[0].columns
    click(qtbot, chips(step.mapping)[itself])
    qtbot.waitUntil(lambda: said(step.mapping) == before, timeout=SLOW)
    assert not chosen.draft.recipe.dataset[0].columns


@pytest.mark.parametrize(
    ("before", "role", "column", "after"),
    [
        ({"prompt": "a"}, "completion", "b", {"prompt": "a", "completion": "b"}),
        ({"prompt": "a", "completion": "b"}, "text", "c", {"text": "c"}),
        ({"prompt": "a", "completion": "b"}, "prompt", "b", {"prompt": "b"}),
        ({"messages": "m", "system": "s"}, "prompt", "p", {"system": "s", "prompt": "p"}),
        ({"prompt": "a", "completion": "b"}, "chosen", "c", {"prompt": "a", "chosen": "c"}),
        ({"prompt": "a", "completion": "b"}, "", "a", {"completion": "b"}),
    ],
)
def test_a_role_sends_away_what_cannot_stand_beside_it(
    before: dict[str, str], role: str, column: str, after: dict[str, str]
) -> None:
    assert given(before, role, column) == after
