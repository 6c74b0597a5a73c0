"""Several datasets, the hub, how rows are written, and the line of the longest row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from studio.ui.pages.datasets import RowEditor
from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.dataset_step import DatasetStep
from studio.ui.pages.new_run.findings_card import FindingLine
from studio.ui.widgets import Button, Card, NameDialog
from tests.ui.wizard import LEFT, SLOW, click, dataset_step, drop, rows


def read(page: NewRunPage, qtbot: QtBot, path: str | Path) -> DatasetStep:
    """The step with this dataset read."""
    page.go(1)
    page.draft.set_dataset(str(path))
    settled(page, qtbot)
    return dataset_step(page)


def settled(page: NewRunPage, qtbot: QtBot) -> None:
    """Wait until the rows are read anew."""
    qtbot.waitUntil(lambda: not page._rows.busy, timeout=SLOW)
    assert page.draft.report is not None


def chats(path: Path, count: int, answer: str = "Well.") -> Path:
    return rows(path, count, prompt="How are you?", completion=answer)


def test_several_datasets_are_mixed_by_weight_and_limit(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    step = read(chosen, qtbot, chats(tmp_path / "a.jsonl", 40))
    click(qtbot, step.add_button)
    assert not step.chooser.sample.isVisible()
    drop(step.chooser.drop, chats(tmp_path / "b.jsonl", 60, "Fine."))
    settled(chosen, qtbot)
    assert [card._rows.text() for card in step.cards] == ["40 rows", "60 rows"]
    assert not step.chooser.isVisible()
    click(qtbot, step.cards[1].more)
    for edit, text in ((step.cards[1].limit, "10"), (step.cards[1].weight, "4")):
        edit.setFocus()
        edit.selectAll()
        qtbot.keyClicks(edit, text)
    settled(chosen, qtbot)
    part = chosen.draft.recipe.dataset[1]
    assert (part.limit, part.weight) == (10, 4.0)
    assert step.cards[1]._rows.text() == "10 rows"
    assert "50%" in step.cards[1]._about.text()
    click(qtbot, step.cards[0].remove)
    settled(chosen, qtbot)
    assert [Path(part.path).name for part in chosen.draft.recipe.dataset] == ["b.jsonl"]
    assert len(step.cards) == 1


def test_a_hub_dataset_that_cannot_be_had_says_what_to_do(
    chosen: NewRunPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    chosen.go(1)
    step = dataset_step(chosen)
    assert not step.chooser.get.isEnabled()
    for edit, text in ((step.chooser.hub_id, "nobody/nothing"), (step.chooser.split, "train")):
        edit.setFocus()
        qtbot.keyClicks(edit, text)
    click(qtbot, step.chooser.get)
    part = chosen.draft.recipe.dataset[0]
    assert (part.path, part.config, part.split) == ("nobody/nothing", None, "train")
    assert step.cards[0]._name.text() == "nobody/nothing"
    qtbot.waitUntil(step.message.isVisible, timeout=SLOW)
    assert not step.reading.isVisible()
    assert any(p.field == "dataset" and p.fix for p in chosen.draft.blocking)
    click(qtbot, step.message.button)
    assert step.reading.isVisible()
    click(qtbot, step.reading.cancel)
    qtbot.waitUntil(lambda: "cancelled" in step.message.accessibleName(), timeout=SLOW)


def test_template_system_prompt_and_what_is_learnt_show_in_the_lens(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    step = read(chosen, qtbot, chats(tmp_path / "a.jsonl", 25))
    qtbot.waitUntil(lambda: "<|im_start|>" in step.lens.text.toPlainText(), timeout=SLOW)
    step.writing.template.setFocus()
    while step.writing.template.value() != "llama-3":
        qtbot.keyClick(step.writing.template, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: "<|eot_id|>" in step.lens.text.toPlainText(), timeout=SLOW)
    qtbot.waitUntil(lambda: bool(step.writing._field.problems()), timeout=SLOW)
    step.writing.system.setFocus()
    qtbot.keyClicks(step.writing.system, "Be kind.")
    qtbot.waitUntil(lambda: "Be kind." in step.lens.text.toPlainText(), timeout=SLOW)
    before = step.lens._numbers.text()
    box = step.writing.train_on.editor
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: step.lens._numbers.text() not in (before, ""), timeout=SLOW)
    words = step.lens._numbers.text().split()
    assert int(words[2]) == int(words[0]) - 1  # nothing comes before the first token


def test_a_template_with_an_error_says_so_beside_it(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    step = read(chosen, qtbot, chats(tmp_path / "a.jsonl", 25))
    wrong = tmp_path / "wrong.jinja"
    wrong.write_text("{% for m in messages %}{{ m.content }", encoding="utf-8")
    chosen.draft.set("data.template", str(wrong))
    qtbot.waitUntil(lambda: bool(step.writing._field.problems()), timeout=SLOW)
    qtbot.waitUntil(lambda: bool(chosen.draft.blocking), timeout=SLOW)
    assert "wrong.jinja" in step.writing.template.currentText()
    chosen.draft.set("data.template", "")
    settled(chosen, qtbot)
    qtbot.waitUntil(lambda: not step.writing._field.problems(), timeout=SLOW)
    assert chosen.draft.blocking == []


def test_the_longest_row_is_dragged_and_moved_by_keys(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "mixed.jsonl"
    lines = [{"prompt": "Count.", "completion": "one two " * (n + 1)} for n in range(60)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    step = read(chosen, qtbot, path)
    line, tiles = step.lengths.histogram, step.lengths
    step.ensureWidgetVisible(line)
    assert "every row fits" in tiles.cut.accessibleName()
    busy = chosen._rows.busy
    y = line.height() // 2
    middle = QPoint(line.width() // 3, y)
    qtbot.mousePress(line, LEFT, pos=QPoint(round(line.position(line.limit)), y))
    qtbot.mouseMove(line, middle)
    qtbot.waitUntil(lambda: "every row fits" not in tiles.cut.accessibleName())
    assert chosen._rows.busy == busy  # reckoned here, nothing is read
    assert chosen.draft.recipe.data.max_length == 512
    qtbot.mouseRelease(line, LEFT, pos=middle)
    dragged = chosen.draft.recipe.data.max_length
    assert dragged == line.limit < 512
    cut = tiles.cut.accessibleName()
    settled(chosen, qtbot)
    assert chosen.draft.report is not None
    assert f"Cut off: {chosen.draft.report.cut_rows}" in cut
    line.setFocus()
    qtbot.keyClick(line, Qt.Key.Key_Right)
    assert chosen.draft.recipe.data.max_length == dragged + 8
    assert str(dragged + 8) in line.accessibleDescription()


def test_the_lens_says_what_is_wrong_with_a_row(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    step = read(chosen, qtbot, chats(tmp_path / "a.jsonl", 25, "one two " * 90))
    qtbot.waitUntil(step.lens.sound.isVisible, timeout=SLOW)
    chosen.draft.set("data.max_length", 64)
    qtbot.waitUntil(step.lens.checks.isVisible, timeout=SLOW)
    assert not step.lens.sound.isVisible()
    assert "cut off" in step.lens._numbers.text()


def test_a_count_opens_its_rows_and_a_rule_leaves_them_out(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "copies.jsonl"
    lines = [{"prompt": f"Say {n} in words.", "completion": f"It is {n} again."} for n in range(40)]
    path.write_text("".join(f"{json.dumps(x)}\n" for x in lines + lines[:5]), encoding="utf-8")
    step = read(chosen, qtbot, path)
    line = step.findings.lines["duplicate"]
    assert line._count.text() == "5"
    click(qtbot, line.open)
    qtbot.waitUntil(lambda: len(shown_rows(line)) == 5, timeout=SLOW)
    assert "Row 41" in shown_rows(line)[0]
    assert line.drop is not None
    click(qtbot, line.drop)
    assert chosen.draft.recipe.data.drop == ("duplicate",)
    settled(chosen, qtbot)
    assert chosen.draft.report is not None
    assert chosen.draft.report.kept_rows == 40
    assert "40 of 45 rows after your rules" in step.findings._after.text()
    click(qtbot, step.findings.lines["duplicate"].drop)  # type: ignore[arg-type]
    assert list(chosen.draft.recipe.data.drop) == []


def shown_rows(line: FindingLine) -> list[str]:
    """The names of the rows that are open under a finding."""
    return [card.accessibleName() for card in line.rows.findChildren(Card)]


def test_rows_that_belong_together_are_chosen_by_column(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "grouped.jsonl"
    lines = [{"prompt": f"Say {n}.", "completion": f"It is {n}.", "who": n % 4} for n in range(40)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    step = read(chosen, qtbot, path)
    step.split.group.setFocus()
    qtbot.keyClick(step.split.group, Qt.Key.Key_End)
    assert chosen.draft.recipe.data.group_by == "who"
    settled(chosen, qtbot)
    assert chosen.draft.report is not None
    assert chosen.draft.report.eval_rows % 10 == 0


def test_own_sets_are_offered_and_a_copy_is_edited(
    chosen: NewRunPage, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = read(chosen, qtbot, chats(tmp_path / "a.jsonl", 25))
    monkeypatch.setattr(NameDialog, "ask", lambda self: "mine")
    click(qtbot, step.cards[0].edit)
    qtbot.waitUntil(lambda: chosen.draft.recipe.dataset[0].path == "mine", timeout=SLOW)
    editor = next(iter(step.findChildren(RowEditor)))
    qtbot.waitUntil(editor.isVisible, timeout=SLOW)
    settled(chosen, qtbot)
    assert step.cards[0]._rows.text() == "25 rows"
    editor.close()
    click(qtbot, step.cards[0].remove)
    chosen.go(0)
    chosen.go(1)
    qtbot.waitUntil(step.chooser.sets.isVisible, timeout=SLOW)
    offered = step.chooser.sets.findChildren(Button)
    assert [each.text() for each in offered] == ["mine: 25 rows, copy"]
    click(qtbot, offered[0])
    settled(chosen, qtbot)
    assert chosen.draft.report is not None
    assert chosen.draft.report.usable_rows == 25
