"""The draft: what is typed, what it comes to, what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.core.advice import PRESETS
from studio.core.facts import DatasetReport, Machine
from studio.core.problem import Problem
from studio.core.reading import NESTED
from studio.core.recipe import Recipe
from studio.library import models
from studio.library.folders import Home
from studio.ui.pages.new_run import NewRunPage, keeping
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.room import room_of
from studio.ui.pages.new_run.hyper_step import matching_preset
from studio.ui.pages.new_run.wording import LABELS


@pytest.fixture
def draft(qapp: QApplication) -> RecipeDraft:
    return RecipeDraft()


@pytest.fixture
def known(draft: RecipeDraft, tiny_model: Path, machine: Machine) -> RecipeDraft:
    """A draft with model, dataset and machine."""
    draft.set_model(str(tiny_model))
    draft.set_dataset("sample")
    draft.know_machine(machine, 0)
    draft.know_model(models.inspect(tiny_model))
    draft.know_dataset(
        DatasetReport(path="x", format="chat", confidence=1.0, rows=100, usable_rows=100,
                      tokens=5000, trained_tokens=2000, trained_share=0.4, max_tokens=80)
    )  # fmt: skip
    return draft


def fields(draft: RecipeDraft) -> set[str]:
    return {problem.field for problem in draft.blocking}


def test_a_new_draft_lacks_model_and_dataset(draft: RecipeDraft) -> None:
    assert fields(draft) == {"model", "dataset"}
    assert draft.estimate.verdict == "unknown"


def test_a_whole_draft_has_nothing_against_it(known: RecipeDraft) -> None:
    assert known.blocking == []
    assert known.estimate.verdict == "fits"


def test_five_mistakes_are_named_at_once(known: RecipeDraft) -> None:
    known.set("training.epochs", "lots")
    known.set("lora.rank", -1)
    known.set("training.learning_rate", 5)
    known.set("data.eval_share", "half")
    known.set("training.scheduler", "cosinus")
    assert fields(known) >= {
        "training.epochs",
        "lora.rank",
        "training.learning_rate",
        "data.eval_share",
        "training.scheduler",
    }
    assert all(problem.fix for problem in known.blocking)


NAMES = {
    f"{part}.{name}" if part else name
    for part, of in {"": Recipe, **NESTED}.items()
    for name in of.__struct_fields__
}


def test_every_setting_has_its_label() -> None:
    assert set(LABELS) == {
        *NAMES - {"version", "task", "lora", "data", "training", "sample_prompts"}
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"training.micro_batch_size": 32, "training.base_precision": "8", "method": "full"},
        {"training.early_stopping_patience": 3, "data.eval_share": 0.0, "training.epochs": 50},
        {"data.max_length": 99_999, "training.dtype": "float16", "lora.dropout": 0.1},
        {"training.optimizer": "paged_adamw_8bit", "lora.rank": 512, "method": "qlora"},
        {"training.epochs": "lots", "training.batch_size": 0, "data.eval_share": 0.001},
        {"lora.target_modules": ("nowhere",), "training.learning_rate": 5},
    ],
)
def test_problems_speak_the_windows_language(known: RecipeDraft, wrong: dict[str, object]) -> None:
    for path, value in wrong.items():
        known.set(path, value)
    found = known.problems
    assert {problem.field for problem in found} & wrong.keys()
    for problem in found:
        words = {word.strip("“”,.;:") for word in f"{problem.text} {problem.fix}".split()}
        assert not words & {name for name in NAMES if "." in name}
        assert not words & {name.split(".")[1] for name in NAMES if "_" in name and "." in name}
        assert not words & {"auto", "all-linear", "adamw_8bit", "lora"}


def test_nothing_chosen_is_said_without_the_file(draft: RecipeDraft) -> None:
    said = " ".join(f"{problem.text} {problem.fix}" for problem in draft.blocking)
    assert "No model is chosen. Choose one on the Model step." in said
    assert "recipe" not in said


def test_what_is_typed_stays_though_it_cannot_be_used(known: RecipeDraft) -> None:
    known.set("training.epochs", "lots")
    assert known.get("training.epochs") == "lots"
    assert known.recipe.training.epochs == 3.0
    known.set("training.epochs", 2)
    assert known.recipe.training.epochs == 2.0
    assert known.blocking == []


def test_the_fit_follows_every_change(known: RecipeDraft) -> None:
    before = known.estimate.parts["adapter"]
    known.set("lora.rank", 64)
    assert known.estimate.parts["adapter"] == 4 * before


def test_the_parts_of_the_panel_add_up(known: RecipeDraft) -> None:
    room, estimate = room_of(known.estimate, known.around.target), known.estimate
    assert sum(room.parts.values()) == estimate.expected_bytes + estimate.parts["context"]
    assert room.upper - room.others == estimate.needed_bytes
    assert room.total - room.others - room.reserve == estimate.available_bytes


def test_the_recommended_method_is_taken_until_one_is_chosen(
    known: RecipeDraft, tiny_model: Path
) -> None:
    facts = models.inspect(tiny_model)
    known.set("method", "full")
    known.know_model(facts)
    assert known.method == "full"
    known.method_chosen = False
    known.know_model(facts)
    assert known.recommendation is not None
    assert known.method == known.recommendation.method


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_a_preset_is_recognised_once_applied(known: RecipeDraft, preset: object) -> None:
    chosen = next(p for p in PRESETS if p is preset)
    known.set("training.early_stopping_patience", 7)
    known.apply_preset(chosen)
    assert matching_preset(known) == chosen.key
    known.set("training.epochs", 17)
    assert matching_preset(known) == ""


def test_steps_follow_rows_batch_and_epochs(known: RecipeDraft) -> None:
    assert known.steps() == 18  # 90 rows in 6 batches of 16, three times
    known.set("training.max_steps", 5)
    assert known.steps() == 5


def test_another_model_forgets_what_was_known(known: RecipeDraft) -> None:
    known.know_model(None, Problem(field="model", text="Gone.", fix="Pick another."))
    assert "model" in fields(known)
    known.set_model("/elsewhere")
    assert known.model is None
    assert known.model_problem is None


def test_only_a_difference_in_free_memory_recomputes(
    known: RecipeDraft, machine: Machine, qtbot: QtBot
) -> None:
    with qtbot.assertNotEmitted(known.changed):
        known.know_machine(machine, 0)
    with qtbot.waitSignal(known.changed):
        known.know_machine(machine, 4 << 30)


def test_a_draft_survives_being_saved(known: RecipeDraft, home: Home) -> None:
    known.set("training.epochs", "lots")
    known.change_dataset(0, columns={"messages": "messages"})
    known.step = 3
    keeping.save(home, known.kept())
    again = RecipeDraft()
    again.restore(keeping.load(home))
    assert again.recipe == known.recipe
    assert again.get("training.epochs") == "lots"
    assert again.step == 3


@pytest.mark.parametrize("content", ["", "[1, 2", "recipe: 7\nstep: x", "just text", "recipe: {}"])
def test_a_damaged_draft_begins_anew(home: Home, qapp: QApplication, content: str) -> None:
    keeping.place(home).parent.mkdir(parents=True)
    keeping.place(home).write_text(content, encoding="utf-8")
    draft = RecipeDraft()
    draft.restore(keeping.load(home))
    assert fields(draft) == {"model", "dataset"}
    assert draft.step == 0


def test_a_run_starts_from_the_recipe_of_an_earlier_one(
    new_run: NewRunPage, own_model: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: earlier\nmodel: {own_model}\ndataset: sample\nmethod: lora\nlora: {{rank: 3}}\n",
        "utf-8",
    )
    new_run.go(3)
    new_run.want_recipe(str(path))
    qtbot.waitUntil(lambda: new_run.draft.get("lora.rank") == 3)
    assert new_run.draft.step == 0
    assert new_run.draft.get("model") == str(own_model) or new_run.draft.get("model.path")
    assert "name" not in new_run.draft.data
    assert "dataset" not in fields(new_run.draft)
    path.write_text("method: [", "utf-8")
    new_run.want_recipe(str(path))
    qtbot.waitUntil(new_run.message.isVisible)
    assert new_run.message.title() == "The recipe can't be read"
    assert new_run.draft.get("lora.rank") == 3
