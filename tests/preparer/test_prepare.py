"""The data folder of a run: whole or absent, split by the seed without twins across, repeatable."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.ipc
import pytest

from studio.core.errors import StudioError
from studio.core.facts import Prepared
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe, TrainingPart
from studio.library import datasets
from studio.preparer import prepare as module
from studio.preparer.prepare import prepare

Table = list[tuple[tuple[int, ...], tuple[int, ...]]]


def recipe(*parts: DatasetPart, seed: int = 42, **data: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="x"),
        dataset=parts or (DatasetPart(path="sample"),),
        data=DataPart(**data),
        training=TrainingPart(seed=seed),
    )


def rows(folder: Path, name: str) -> Table:
    with pa.memory_map(str(folder / "data" / f"{name}.arrow")) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
        assert table.schema == module.SCHEMA
        columns = (table["input_ids"].to_pylist(), table["labels"].to_pylist())
    return [(tuple(ids), tuple(labels)) for ids, labels in zip(*columns, strict=True)]


def write(path: Path, answers: list[str]) -> DatasetPart:
    lines = [json.dumps({"prompt": "hi", "completion": answer}) for answer in answers]
    path.write_text("\n".join(lines), encoding="utf-8")
    return DatasetPart(path=str(path))


def test_the_sample_dataset(tmp_path: Path, tiny_model: Path) -> None:
    made = prepare(tmp_path, recipe(), tiny_model)
    train, evaluation = rows(tmp_path, "train"), rows(tmp_path, "eval")
    assert (made.train_rows, made.eval_rows) == (len(train), len(evaluation)) == (396, 44)
    assert made.train_tokens == sum(len(ids) for ids, _ in train)
    assert made.trained_tokens == sum(label >= 0 for _, labels in train for label in labels)
    assert made.max_tokens == max(len(ids) for ids, _ in train + evaluation)
    assert made.score_rows == str(datasets.score_rows(DatasetPart(path="sample")))
    assert (
        made.tokenizer_digest
        == hashlib.sha256((tiny_model / "tokenizer.json").read_bytes()).hexdigest()
    )
    manifest = (tmp_path / "data" / "manifest.json").read_bytes()
    assert msgspec.json.decode(manifest, type=Prepared) == made
    assert "<|im_start|>" in made.chat_template
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [
        "eval.arrow", "manifest.json", "train.arrow",
    ]  # fmt: skip


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_another_split(
    tmp_path: Path, tiny_model: Path
) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    first = prepare(one, recipe(), tiny_model)
    second = prepare(two, recipe(), tiny_model)
    assert first == second
    for name in ("train.arrow", "eval.arrow"):
        assert (one / "data" / name).read_bytes() == (two / "data" / name).read_bytes()
    third = prepare(other, recipe(seed=1), tiny_model)
    assert third.digest != first.digest
    assert rows(other, "eval") != rows(one, "eval")
    both = rows(other, "eval") + rows(other, "train")
    assert sorted(both) == sorted(rows(one, "eval") + rows(one, "train"))


def test_rows_keep_their_order_and_twins_stay_on_one_side(tmp_path: Path, tiny_model: Path) -> None:
    part = write(tmp_path / "a.jsonl", [str(i % 40) for i in range(120)])
    made = prepare(tmp_path, recipe(part, eval_share=0.25), tiny_model)
    train, evaluation = rows(tmp_path, "train"), rows(tmp_path, "eval")
    assert set(train) & set(evaluation) == set()
    assert (made.train_rows, made.eval_rows) == (90, 30)
    assert train == train[:30] * 3


def test_few_rows_or_no_share_leave_everything_for_training(
    tmp_path: Path, tiny_model: Path
) -> None:
    part = write(tmp_path / "a.jsonl", ["only"])
    assert prepare(tmp_path, recipe(part), tiny_model).eval_rows == 0
    assert rows(tmp_path, "eval") == []
    part = write(tmp_path / "a.jsonl", list("abcdefghijkl"))
    assert prepare(tmp_path, recipe(part, eval_share=0.0), tiny_model).train_rows == 12
    assert prepare(tmp_path, recipe(part, eval_share=0.01), tiny_model).eval_rows == 1


def test_files_that_say_test_are_the_evaluation(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / "train.jsonl", ["a", "b", "c", "x"])
    write(folder / "test.jsonl", ["x", "y"])
    made = prepare(tmp_path, recipe(DatasetPart(path=str(folder))), tiny_model)
    assert (made.train_rows, made.eval_rows) == (3, 3)
    assert set(rows(tmp_path, "train")) & set(rows(tmp_path, "eval")) == set()


def test_weights_draw_and_repeat(tmp_path: Path, tiny_model: Path) -> None:
    some = write(tmp_path / "a.jsonl", [f"a{i}" for i in range(100)])
    more = write(tmp_path / "b.jsonl", [f"b{i}" for i in range(100)])
    half = msgspec.structs.replace(some, weight=0.5)
    twice = msgspec.structs.replace(more, weight=2.0)
    made = prepare(tmp_path, recipe(half, twice, eval_share=0.0), tiny_model)
    train = rows(tmp_path, "train")
    assert len(train) == made.train_rows
    assert 230 < made.train_rows < 270
    assert sum(train.count(row) == 2 for row in set(train)) == 100


def test_rows_are_cut_and_rows_without_a_trained_token_left_out(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = tmp_path / "a.jsonl"
    long = [("hi", "yes"), ("hi", "morning " * 40), ("morning " * 40, "yes")]
    lines = [json.dumps({"prompt": p, "completion": c}) for p, c in long]
    path.write_text("\n".join(lines), encoding="utf-8")
    made = prepare(tmp_path, recipe(DatasetPart(path=str(path)), max_length=24), tiny_model)
    assert (made.train_rows, made.max_tokens, made.max_length) == (2, 24, 24)
    assert all(any(label >= 0 for label in labels) for _, labels in rows(tmp_path, "train"))


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ('{"prompt": "morning ' + "morning " * 50 + '", "completion": "yes"}', "Every token"),
        ('{"prompt": "hi", "completion": ""}', "No usable rows"),
        ('{"price": "1"}', "Columns not recognised"),
        ("hello", "Not JSON"),
        ("", "Dataset is empty"),
    ],
)
def test_nothing_to_learn_from_leaves_nothing_behind(
    tmp_path: Path, tiny_model: Path, content: str, title: str
) -> None:
    (tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
    run = tmp_path / "run"
    with pytest.raises(StudioError) as caught:
        prepare(run, recipe(DatasetPart(path=str(tmp_path / "a.jsonl")), max_length=16), tiny_model)
    assert caught.value.title.startswith(title)
    assert caught.value.fix
    assert list(run.iterdir()) == []


def test_a_full_disk_keeps_the_data_that_was_there(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prepare(tmp_path, recipe(), tiny_model)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.Writer, "_flush", full)
    with pytest.raises(StudioError, match="Disk is full"):
        prepare(tmp_path, recipe(seed=7), tiny_model)
    manifest = (tmp_path / "data" / "manifest.json").read_bytes()
    assert msgspec.json.decode(manifest, type=Prepared) == before
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_the_fallback_template_travels_with_the_data(tmp_path: Path, tiny_model: Path) -> None:
    bare = shutil.copytree(tiny_model, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((bare / "tokenizer_config.json").read_text("utf-8"))
    settings.pop("chat_template", None)
    (bare / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    made = prepare(tmp_path / "run", recipe(), bare)
    assert made.template == "ChatML"
    assert "<|im_end|>" in made.chat_template
