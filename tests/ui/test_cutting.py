"""A set of passages made of a folder of text, from the wizard's Dataset step."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from studio.library import own_datasets
from studio.library.folders import Home
from studio.ui.pages.datasets import CutDialog
from studio.ui.pages.new_run import NewRunPage
from studio.ui.widgets import Button
from tests.ui.wizard import SLOW, click, dataset_step

PARAGRAPH = "The lighthouse keeper wrote down the weather, hour by hour. " * 4


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Three texts of three paragraphs each, one in a folder within, and a file that is no text."""
    folder = tmp_path / "My letters"
    (folder / "old").mkdir(parents=True)
    for name in ("one.txt", "two.md", "old/three.txt"):
        words = "\n\n".join(f"{name} {place}. {PARAGRAPH}" for place in range(3))
        (folder / name).write_text(words, encoding="utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def opened(
    page: NewRunPage, folder: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> CutDialog:
    """The dialog, opened by the wizard's button; only the system's folder chooser is left out."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    page.go(1)
    step = dataset_step(page)
    click(qtbot, step.chooser.texts)
    qtbot.waitUntil(lambda: bool(step.findChildren(CutDialog)), timeout=SLOW)
    dialog: CutDialog = step.findChildren(CutDialog)[-1]
    qtbot.waitUntil(dialog.isVisible)
    return dialog


def test_a_folder_becomes_a_set_that_is_chosen_and_listed(
    new_run: NewRunPage, home: Home, texts: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = opened(new_run, texts, qtbot, monkeypatch)
    assert dialog.name.text() == "My-letters"
    assert "characters" in dialog.length.accessibleName()
    for edit, text in ((dialog.length, "300"), (dialog.overlap, "300")):
        edit.setFocus()
        edit.selectAll()
        qtbot.keyClicks(edit, text)
    qtbot.keyClick(dialog.overlap, Qt.Key.Key_Return)
    qtbot.waitUntil(dialog.message.isVisible, timeout=SLOW)
    assert "overlap that is smaller" in dialog.message.accessibleName()
    dialog.overlap.selectAll()
    qtbot.keyClicks(dialog.overlap, "60")
    click(qtbot, dialog.build_button)
    qtbot.waitUntil(lambda: bool(new_run.draft.recipe.dataset), timeout=SLOW)
    assert new_run.draft.recipe.dataset[0].path == "My-letters"
    made = own_datasets.listing(home)
    assert [(one.name, one.origin, one.rows) for one in made] == [("My-letters", "folder", 9)]
    qtbot.waitUntil(lambda: new_run.draft.report is not None, timeout=SLOW)
    assert new_run.draft.report is not None
    assert new_run.draft.report.usable_rows == 9

    def listed() -> bool:
        chips = dataset_step(new_run).chooser.sets.findChildren(Button)
        return any("My-letters: 9 rows" in chip.text() for chip in chips)

    qtbot.waitUntil(listed, timeout=SLOW)
    again = opened(new_run, texts, qtbot, monkeypatch)
    assert again.name.text() == "My-letters-2"
    again.name.setText("My letters")
    click(qtbot, again.build_button)
    qtbot.waitUntil(again.message.isVisible, timeout=SLOW)
    assert "My-letters" in again.message.accessibleName()
    assert "already" in again.message.accessibleName()
    assert again.name.isEnabled()
    qtbot.keyClick(again, Qt.Key.Key_Escape)
    assert len(own_datasets.listing(home)) == 1


def test_tokens_are_counted_by_the_chosen_model_and_cancel_leaves_nothing(
    chosen: NewRunPage, home: Home, texts: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    (texts / "long.txt").write_text(f"{PARAGRAPH}\n\n" * 8000, encoding="utf-8")
    dialog = opened(chosen, texts, qtbot, monkeypatch)
    assert "tokens" in dialog.length.accessibleName()
    click(qtbot, dialog.build_button)
    qtbot.waitUntil(lambda: "long.txt" in dialog.doing.text(), timeout=SLOW)
    assert not dialog.name.isEnabled()
    task = dialog._task
    assert task is not None
    with qtbot.waitSignal(task.over, timeout=SLOW):
        click(qtbot, dialog.cancel_button)
    assert chosen.draft.recipe.dataset == ()
    assert own_datasets.listing(home) == []
    assert not list(home.datasets.rglob(own_datasets.ROWS))
