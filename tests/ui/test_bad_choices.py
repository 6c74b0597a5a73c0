"""Choices that the field advises against show beside their field, with what to do about them."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from studio.core import presets
from studio.core.facts import DatasetReport, Gpu, Machine
from studio.library import catalogue
from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.hyper_step import HyperStep
from studio.ui.pages.new_run.step import STEPS
from studio.ui.widgets import ProblemLine
from tests.ui.wizard import click

GIB = 1 << 30
OLD = Gpu(
    index=0,
    name="NVIDIA GeForce RTX 2060",
    total_bytes=12 * GIB,
    used_bytes=GIB,
    free_bytes=11 * GIB,
    compute_capability=(7, 5),
)
BAD: list[tuple[str, dict[str, Any]]] = [
    ("training.learning_rate", {"training.learning_rate": 0.05}),
    ("training.dtype", {"training.dtype": "bfloat16"}),
    ("lora.rank", {"lora.rank": 1024}),
    ("lora.alpha", {"lora.alpha": 1.0}),
    ("lora.dropout", {"lora.dropout": 0.6}),
    ("lora.target_modules", {"lora.target_modules": ("nowhere",)}),
    ("lora.target_modules", {"lora.target_modules": ("q_proj", "v_proj")}),
    ("method", {"method": "qlora"}),
    ("method", {"training.micro_batch_size": 16, "data.max_length": 8192, "method": "full"}),
    ("training.batch_size", {"training.batch_size": 512}),
    ("training.warmup_share", {"training.warmup_share": 0.5}),
    ("training.optimizer", {"training.optimizer": "paged_adamw_8bit"}),
    ("training.micro_batch_size", {"training.micro_batch_size": 7}),
    ("training.early_stopping_patience", {"training.early_stopping_patience": 2,
                                          "data.eval_share": 0.0}),
]  # fmt: skip


@pytest.fixture
def small(new_run: NewRunPage, machine: Machine, qtbot: QtBot) -> NewRunPage:
    """A model of half a billion parameters on an older card."""
    draft, name = new_run.draft, "Qwen/Qwen2.5-0.5B-Instruct"
    draft.know_machine(msgspec.structs.replace(machine, gpus=(OLD,)), 0)
    draft.set_model(name)
    qtbot.waitUntil(lambda: draft.model_problem is not None)  # it isn't here: looked for
    facts = next(model for model in catalogue.known() if model.id == name).facts()
    modules = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    draft.know_model(msgspec.structs.replace(facts, linear_modules=modules))
    draft.know_dataset(
        DatasetReport(path="x", format="chat", confidence=1.0, rows=400, usable_rows=400,
                      tokens=40_000, trained_tokens=20_000, trained_share=0.5, max_tokens=9000)
    )  # fmt: skip
    return new_run


@pytest.mark.parametrize(("field", "values"), BAD, ids=lambda value: str(value)[:60])
def test_it_shows_where_it_is_set(
    small: NewRunPage, field: str, values: dict[str, Any], qtbot: QtBot
) -> None:
    for path, value in values.items():
        small.draft.set(path, value)
    found = small.draft.problems_of(field)
    assert found, [problem.field for problem in small.draft.problems]
    place = next(index for index, step in enumerate(STEPS) if step.owns(found[0]))
    small.go(place)
    for problem in found:
        qtbot.waitUntil(partial(_shows, small.step(place), problem.text))
        shown = _lines(small.step(place), problem.text)[0]
        assert problem.fix in shown.accessibleName()
        assert problem.source in shown.toolTip()


def _shows(step: QWidget, text: str) -> bool:
    return bool(_lines(step, text))


def _lines(step: QWidget, text: str) -> list[ProblemLine]:
    lines = step.findChildren(ProblemLine)
    return [line for line in lines if line.isVisible() and text in line.accessibleName()]


class TestCardPresets:
    def test_a_size_sets_what_fits_there_and_can_be_undone(
        self, small: NewRunPage, qtbot: QtBot
    ) -> None:
        small.go(3)
        step, before = small.step(3), small.draft.recipe
        assert isinstance(step, HyperStep)
        step.cards.reckon()
        click(qtbot, step.cards.sizes.button("24"))
        recipe = small.draft.recipe
        assert recipe.data.max_length == 4096
        assert recipe.lora.rank == 32
        assert recipe.method == before.method
        assert step.cards.sizes.value() == "24"
        assert "of 24 GB" in step.cards._text.text()
        click(qtbot, small.panel.buttons.undo)
        assert small.draft.recipe == before

    def test_sizes_on_which_nothing_fits_are_off(self, small: NewRunPage, qtbot: QtBot) -> None:
        large = next(m for m in catalogue.known() if m.id == "Qwen/Qwen2.5-7B-Instruct")
        small.draft.know_model(large.facts())
        small.draft.set("method", "lora")
        small.go(3)
        step = small.step(3)
        assert isinstance(step, HyperStep)
        qtbot.waitUntil(lambda: not step.cards.sizes.button("6").isEnabled())
        assert step.cards.sizes.button("48").isEnabled()
        for size in presets.SIZES:
            button = step.cards.sizes.button(str(size))
            assert str(size) in button.accessibleName()
        step.cards.sizes.button("48").setFocus()
        qtbot.keyClick(step.cards.sizes.button("48"), Qt.Key.Key_Space)
        assert small.draft.recipe.lora.rank == 64
