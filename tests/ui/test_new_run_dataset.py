"""Choosing a dataset: the token lens, columns, and files that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.ui.pages.new_run import NewRunPage
from studio.ui.widgets import ProblemLine
from tests.ui.wizard import SLOW, click, dataset_step, rows


class TestDataset:
    def test_the_lens_shows_what_is_trained(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(1)
        step = dataset_step(chosen)
        click(qtbot, step.chooser.sample)
        qtbot.waitUntil(lambda: "trained" in step.lens._numbers.text(), timeout=SLOW)
        text = step.lens.text.toPlainText()
        assert "<|im_start|>" in text
        assert "↵" in text
        first = text
        click(qtbot, step.lens.forth)
        assert step.lens.text.toPlainText() != first
        click(qtbot, step.lens.back)
        assert step.lens.text.toPlainText() == first

    def test_pages_beyond_the_first_are_fetched(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(1)
        step = dataset_step(chosen)
        chosen.draft.set_dataset("sample")
        qtbot.waitUntil(lambda: "trained" in step.lens._numbers.text(), timeout=SLOW)
        qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
        step.lens.number.setFocus()
        step.lens.number.selectAll()
        qtbot.keyClicks(step.lens.number, "440")
        qtbot.keyClick(step.lens.number, Qt.Key.Key_Return)
        assert step.lens.text.toPlainText() == "Reading the row"
        qtbot.waitUntil(lambda: "<|im_start|>" in step.lens.text.toPlainText(), timeout=SLOW)
        assert not step.lens.forth.isEnabled()

    def test_a_broken_row_is_named_once_and_the_rest_is_used(
        self, chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
    ) -> None:
        path = rows(tmp_path / "rows.jsonl", 200, prompt="How are you?", completion="Well.")
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[100] = '{"prompt": broken'
        path.write_text("\n".join(lines), encoding="utf-8")
        chosen.go(1)
        chosen.draft.set_dataset(str(path))
        qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
        step = dataset_step(chosen)
        said = [line.accessibleName() for line in step.findChildren(ProblemLine)]
        assert sum(line.count("Row 101") for line in said) == 1
        assert chosen.draft.report is not None
        assert chosen.draft.report.usable_rows == 199
        assert chosen.draft.blocking == []

    def test_many_bad_rows_do_not_bury_the_page(
        self, chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
    ) -> None:
        chat = [{"role": "user", "content": "Nobody answers."}]
        path = rows(tmp_path / "silent.jsonl", 60, messages=chat)
        chosen.go(1)
        chosen.draft.set_dataset(str(path))
        qtbot.waitUntil(lambda: chosen.draft.report is not None, timeout=SLOW)
        step = dataset_step(chosen)
        assert "dataset" in {problem.field for problem in chosen.draft.blocking}
        assert len(step.findChildren(ProblemLine)) < 12

    def test_without_a_model_rows_are_counted_but_not_their_tokens(
        self, new_run: NewRunPage, qtbot: QtBot
    ) -> None:
        new_run.go(1)
        step = dataset_step(new_run)
        new_run.draft.set_dataset("sample")
        qtbot.waitUntil(lambda: new_run.draft.report is not None, timeout=SLOW)
        assert "Choose a model first" in step.lens.text.toPlainText()
        assert step.cards[0]._rows.text() == "440 rows"

    @pytest.mark.parametrize(
        ("name", "content"),
        [("missing.jsonl", None), ("empty.jsonl", ""), ("words.jsonl", "no json\n" * 5)],
    )
    def test_a_file_that_cannot_be_used_says_what_to_do(
        self, new_run: NewRunPage, tmp_path: Path, qtbot: QtBot, name: str, content: str | None
    ) -> None:
        new_run.go(1)
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf-8")
        step = dataset_step(new_run)
        step.chooser.typed.setFocus()
        qtbot.keyClicks(step.chooser.typed, str(tmp_path / name))
        qtbot.keyClick(step.chooser.typed, Qt.Key.Key_Return)

        def said() -> bool:
            return any(p.field == "dataset" and p.fix for p in new_run.draft.blocking)

        qtbot.waitUntil(said, timeout=SLOW)
        assert not step.mapping.isVisible()
        click(qtbot, step.cards[0].remove)
        assert step.chooser.drop.isVisible()
