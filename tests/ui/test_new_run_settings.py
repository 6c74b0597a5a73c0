"""Method and hyperparameters, by keys and clicks."""

from __future__ import annotations

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.hyper_step import HyperStep
from studio.ui.pages.new_run.method_step import MethodStep
from studio.ui.widgets import ComboBox
from tests.ui.wizard import click, type_over


class TestSettings:
    def test_what_is_typed_shows_its_problem_beside_it(
        self, chosen: NewRunPage, qtbot: QtBot
    ) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        field = step.form.fields["training.epochs"]
        type_over(qtbot, field, "lots")
        assert "lots" in field.problems()[0].text
        type_over(qtbot, field, "2.5")
        assert field.problems() == ()
        assert chosen.draft.recipe.training.epochs == 2.5

    def test_a_preset_fills_the_fields(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        click(qtbot, step.presets.button("quick look"))
        assert step.form.fields["training.epochs"].editor.property("text") == "1"
        assert chosen.draft.recipe.lora.rank == 8

    def test_what_guards_the_work_can_be_set(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        click(qtbot, step.more)
        type_over(qtbot, step.form.fields["training.save_every_minutes"], "2")
        type_over(qtbot, step.form.fields["training.keep_checkpoints"], "4")
        trouble = step.form.fields["training.on_trouble"].editor
        assert isinstance(trouble, ComboBox)
        trouble.setFocus()
        qtbot.keyClick(trouble, Qt.Key.Key_Down)
        trouble.activated.emit(trouble.currentIndex())
        training = chosen.draft.recipe.training
        assert (training.save_every_minutes, training.keep_checkpoints) == (2, 4)
        assert training.on_trouble == "roll-back"
        type_over(qtbot, step.form.fields["training.keep_checkpoints"], "0")
        assert step.form.fields["training.keep_checkpoints"].problems()

    def test_what_moves_memory_elsewhere_can_be_set(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.draft.set("method", "full")
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        click(qtbot, step.more)
        for name in ("offload_activations", "optimizer_in_backward"):
            field = step.form.fields[f"training.{name}"]
            box = field.editor
            assert isinstance(box, ComboBox)
            box.setFocus()
            qtbot.keyClick(box, Qt.Key.Key_Down)
            box.activated.emit(box.currentIndex())
            assert getattr(chosen.draft.recipe.training, name) is True
        [clipped] = step.form.fields["training.optimizer_in_backward"].problems()
        assert clipped.fix.startswith("Set Clip gradients at to 0, which never clips")
        assert clipped.fix.endswith("set Update while going backward to No.")
        type_over(qtbot, step.form.fields["training.max_grad_norm"], "0")
        assert step.form.fields["training.optimizer_in_backward"].problems() == ()

    def test_everything_can_be_shown(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(3)
        step = chosen.step(3)
        assert isinstance(step, HyperStep)
        assert not step.everything.isVisible()
        click(qtbot, step.more)
        assert step.everything.isVisible()
        seed = step.form.fields["training.seed"]
        type_over(qtbot, seed, "7")
        assert chosen.draft.recipe.training.seed == 7

    def test_the_method_is_recommended_with_a_reason(
        self, chosen: NewRunPage, qtbot: QtBot
    ) -> None:
        chosen.go(2)
        step = chosen.step(2)
        assert isinstance(step, MethodStep)
        assert "Recommended" in step.cards["lora"].accessibleDescription()
        assert "so LoRA" in step._reason.text()
        click(qtbot, step.cards["full"])
        assert chosen.draft.recipe.method == "full"
        assert not step._lora.isVisible()

    def test_targets_are_the_models_own_modules(self, chosen: NewRunPage, qtbot: QtBot) -> None:
        chosen.go(2)
        step = chosen.step(2)
        assert isinstance(step, MethodStep)
        click(qtbot, step.targets.mode.button("some"))
        assert set(step.targets.chips) == {
            *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        }
        for name in ("gate_proj", "up_proj", "down_proj"):
            click(qtbot, step.targets.chips[name])
        assert chosen.draft.recipe.lora.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
