"""Recipes from plain data: every mistake at once, each beside its field."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from studio.core import problems
from studio.core.recipe import Recipe, TrainingPart, to_yaml

SMALLEST = "model: starter\ndataset: sample\nmethod: qlora\n"


def fields(text: str) -> list[str]:
    return [problem.field for problem in problems.read(yaml.safe_load(text))[1]]


def only(text: str) -> problems.Problem:
    found = problems.read(yaml.safe_load(text))[1]
    assert len(found) == 1, found
    return found[0]


def test_the_smallest_recipe_has_defaults_for_the_rest() -> None:
    recipe, found = problems.read(yaml.safe_load(SMALLEST))
    assert found == []
    assert recipe is not None
    assert (recipe.model.path, recipe.dataset[0].path) == ("starter", "sample")
    assert recipe.method == "qlora"
    assert recipe.training == TrainingPart()


def test_five_mistakes_are_named_at_once() -> None:
    text = """
        modle: starter
        dataset: sample
        method: qlra
        lora: {rank: many}
        training: {epochs: -1, lerning_rate: 0.1}
    """
    found = fields(text)
    assert sorted(found) == [
        "lora.rank",
        "method",
        "model",
        "modle",
        "training.epochs",
        "training.lerning_rate",
    ]


@pytest.mark.parametrize(
    ("line", "field", "fix"),
    [
        ("modle: x", "modle", "Did you mean “model”?"),
        ("epochs: 2", "epochs", "Did you mean “training.epochs”?"),
        ("lr: 0.1", "lr", "Did you mean “training.learning_rate”?"),
        ("training: {lr: 0.1}", "training.lr", "Did you mean “training.learning_rate”?"),
        ("lora: {r: 8}", "lora.r", "Did you mean “lora.rank”?"),
        ("frobnicate: 1", "frobnicate", "Remove “frobnicate”."),
    ],
)
def test_an_unknown_field_suggests_the_nearest(line: str, field: str, fix: str) -> None:
    problem = only(f"{SMALLEST}{line}\n")
    assert (problem.field, problem.fix) == (field, fix)


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("training: {epochs: 0}", "training.epochs", "must be a number above 0, not “0”"),
        ("training: {seed: 1.5}", "training.seed", "must be a whole number of at least 0"),
        ("training: {max_steps: true}", "training.max_steps", "must be a whole number"),
        ("training: {learning_rate: .nan}", "training.learning_rate", "must be a number"),
        ("training: {learning_rate: fast}", "training.learning_rate", "not “fast”"),
        ("training: {dtype: bf16}", "training.dtype", "must be one of auto, bfloat16"),
        ("lora: {alpha: .inf}", "lora.alpha", "must be a number above 0"),
        ("lora: {target_modules: 7}", "lora.target_modules", "must be text or a list of texts"),
        ("data: {eval_share: 1.0}", "data.eval_share", "at least 0 and below 1"),
        ("data: 3", "data", "must be a group of fields"),
        ("sample_prompts: hello", "sample_prompts", "must be a list of texts"),
        ("version: 99", "version", "version 99"),
    ],
)
def test_a_wrong_value_says_what_is_wanted(line: str, field: str, words: str) -> None:
    problem = only(f"{SMALLEST}{line}\n")
    assert problem.field == field
    assert words in problem.text
    assert problem.fix


def test_what_yaml_reads_otherwise_than_people_write_is_understood() -> None:
    text = f"{SMALLEST}training: {{learning_rate: 2e-4, gradient_checkpointing: yes, epochs: 3}}\n"
    recipe, found = problems.read(yaml.safe_load(text))
    assert found == []
    assert recipe is not None
    assert recipe.training.learning_rate == pytest.approx(2e-4)
    assert recipe.training.gradient_checkpointing == "yes"


def test_a_number_can_name_a_precision() -> None:
    recipe, _ = problems.read(yaml.safe_load(f"{SMALLEST}training: {{base_precision: 16}}\n"))
    assert recipe is not None
    assert recipe.training.base_precision == "16"


def test_several_datasets_are_told_apart() -> None:
    text = "model: starter\ndataset: [{path: a.jsonl}, {weight: 2}, {path: c, wieght: 1}]\n"
    assert fields(text) == ["dataset[1].path", "dataset[2].wieght"]


@pytest.mark.parametrize("line", ["", "model: {}", "model:", "model: ''"])
def test_a_missing_model_is_one_problem(line: str) -> None:
    assert only(f"dataset: sample\n{line}\n").field == "model"


def test_a_model_with_a_revision_but_no_path() -> None:
    assert only("dataset: sample\nmodel: {revision: main}\n").field == "model.path"


@pytest.mark.parametrize("data", [None, [], "model", 3, True])
def test_what_is_no_mapping_is_no_recipe(data: object) -> None:
    recipe, found = problems.read(data)
    assert recipe is None
    assert [problem.field for problem in found] == [""]


def test_the_rest_of_a_broken_recipe_can_still_be_checked() -> None:
    text = (
        "model: starter\ndataset: sample\nmethod: nothing\ntraining: {batch_size: 4, epochs: x}\n"
    )
    recipe, found = problems.read_leniently(yaml.safe_load(text))
    assert recipe is not None
    assert (recipe.method, recipe.training.batch_size) == ("lora", 4)
    assert [problem.field for problem in found] == ["method", "training.epochs"]


numbers = st.floats(1e-6, 1.0, allow_nan=False)
recipes = st.builds(
    lambda rate, epochs, rank, modules, name: {
        "model": "starter",
        "dataset": "sample",
        "name": name,
        "training": {"learning_rate": rate, "epochs": epochs},
        "lora": {"rank": rank, "target_modules": modules},
    },
    numbers,
    numbers,
    st.integers(1, 512),
    st.one_of(st.just("all-linear"), st.lists(st.text("abc_", min_size=1), min_size=1)),
    st.text("abcé Ω-", max_size=8),
)


@given(recipes)
def test_a_recipe_reads_back_from_its_own_yaml(data: dict[str, object]) -> None:
    recipe, found = problems.read(data)
    assert found == []
    assert recipe is not None
    again, found = problems.read(yaml.safe_load(to_yaml(recipe)))
    assert found == []
    assert again == recipe


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from([*Recipe.__struct_fields__, "other"])


@given(st.dictionaries(keys, plain, max_size=6))
def test_whatever_is_given_is_read_or_refused_in_words(data: dict[str, object]) -> None:
    recipe, found = problems.read(data)
    assert (recipe is None) == bool(found)
    assert all(problem.text.endswith(".") for problem in found)


def test_a_list_of_choices_may_be_one_and_knows_its_words() -> None:
    recipe, found = problems.read(yaml.safe_load(SMALLEST + "data: {drop: duplicate}"))
    assert found == []
    assert recipe is not None
    assert recipe.data.drop == ("duplicate",)
    problem = only(SMALLEST + "data: {drop: [contact, duplicates]}")
    assert (problem.field, problem.fix) == ("data.drop", "Did you mean “duplicate”?")
    assert "mask-contact" in only(SMALLEST + "data: {repair: 7}").text
