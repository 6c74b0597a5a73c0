"""Several datasets in one recipe: weights, samples, and what each of them gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from studio.core.errors import StudioError
from studio.core.facts import Prepared
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe, TrainingPart
from studio.preparer.dataset import drawn, open_all, rows
from studio.preparer.lens import examples
from studio.preparer.messages import Sample
from studio.preparer.prepare import prepare
from studio.preparer.progress import silent
from studio.preparer.report import inspect
from studio.preparer.tokens import Encoder
from tests.preparer.test_prepare import rows as written_rows


def write(path: Path, count: int, mark: str = "") -> DatasetPart:
    lines = [json.dumps({"prompt": "hi", "completion": f"{mark}{i}"}) for i in range(count)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return DatasetPart(path=str(path))


def recipe(*parts: DatasetPart, seed: int = 42, **data: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="x"),
        dataset=parts,
        data=DataPart(**data),
        training=TrainingPart(seed=seed),
    )


def answers(*parts: DatasetPart) -> list[str]:
    found = [row.content for row in rows(open_all(parts), silent)]
    return [one.messages[-1]["content"] for one in found if isinstance(one, Sample)]


def test_a_report_counts_each_dataset_by_itself(tmp_path: Path, tiny_model: Path) -> None:
    more = tmp_path / "texts.csv"
    more.write_text("text,source\nonce upon,a\n,b\n", "utf-8")
    parts = (write(tmp_path / "a.jsonl", 30), DatasetPart(path=str(more), weight=2.0))
    report = inspect(parts, tiny_model, DataPart())
    first, second = report.parts
    assert (first.path, first.kind, first.format) == (
        str(tmp_path / "a.jsonl"), "JSON Lines", "prompt and completion",
    )  # fmt: skip
    assert (first.rows, first.usable_rows) == (30, 30)
    assert (second.rows, second.usable_rows, second.weight) == (2, 1, 2.0)
    assert (second.kind, second.encoding, second.unmapped) == ("CSV", "UTF-8", ("source",))
    assert second.learnt == "The whole text."
    assert report.rows == 32
    assert first.tokens + second.tokens == report.tokens
    assert first.trained_tokens + second.trained_tokens == report.trained_tokens
    assert report.kind == "JSON Lines, CSV"
    assert [p.text for p in report.problems if p.row] == [
        "texts.csv, row 3 is empty in “text”. It is left out."
    ]


def test_the_manifest_says_what_each_dataset_gave(tmp_path: Path, tiny_model: Path) -> None:
    half = msgspec.structs.replace(write(tmp_path / "a.jsonl", 100, "a"), weight=0.5)
    twice = msgspec.structs.replace(write(tmp_path / "b.jsonl", 50, "b"), weight=2.0)
    with (tmp_path / "b.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"prompt": "x"}')
    made = prepare(tmp_path / "run", recipe(half, twice), tiny_model)
    manifest = (tmp_path / "run" / "data" / "manifest.json").read_bytes()
    assert msgspec.json.decode(manifest, type=Prepared) == made
    first, second = made.parts
    assert first.path.endswith("a.jsonl")
    assert first.train_rows + second.train_rows == made.train_rows
    assert first.eval_rows + second.eval_rows == made.eval_rows
    assert first.train_tokens + second.train_tokens == made.train_tokens
    assert 30 < first.train_rows < 60
    assert second.train_rows == 2 * (50 - second.eval_rows)
    assert (first.left_out, second.left_out) == (0, 1)


def test_a_weight_repeats_no_row_before_all_were_taken(tmp_path: Path, tiny_model: Path) -> None:
    part = msgspec.structs.replace(write(tmp_path / "a.jsonl", 60), weight=2.5)
    prepare(tmp_path / "run", recipe(part, eval_share=0.0), tiny_model)
    train = written_rows(tmp_path / "run", "train")
    counts = {row: train.count(row) for row in train}
    assert set(counts.values()) == {2, 3}
    assert len(counts) == 60
    assert 15 < sum(count == 3 for count in counts.values()) < 45


def test_the_seed_draws_what_a_weight_takes(tmp_path: Path, tiny_model: Path) -> None:
    part = msgspec.structs.replace(write(tmp_path / "a.jsonl", 60), weight=0.5)

    def taken(name: str, seed: int) -> Any:
        prepare(tmp_path / name, recipe(part, seed=seed, eval_share=0.0), tiny_model)
        return written_rows(tmp_path / name, "train")

    assert taken("one", 1) == taken("again", 1) != taken("two", 2)


def test_a_limit_takes_an_even_sample_and_always_the_same(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.jsonl", 1000)
    some = msgspec.structs.replace(whole, limit=100)
    sample = answers(some)
    assert sample == answers(some)
    assert len(sample) == len(set(sample)) == 100
    assert [int(one) for one in sample] == sorted(int(one) for one in sample)
    assert 30 < sum(int(one) < 500 for one in sample) < 70
    assert set(answers(msgspec.structs.replace(whole, limit=50))) < set(sample)
    assert answers(msgspec.structs.replace(whole, limit=2000)) == answers(whole)
    report = inspect((some,), None, DataPart())
    assert (report.rows, report.parts[0].limit) == (100, 100)


def test_a_limit_holds_for_training_and_evaluation_files_each(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / "train-1.jsonl", 40, "a")
    write(folder / "train-2.jsonl", 40, "b")
    write(folder / "test.jsonl", 40, "c")
    (piece,) = inspect((DatasetPart(path=str(folder), limit=10),), None, DataPart()).parts
    assert (piece.rows, piece.evaluation_rows) == (20, 10)


def test_what_is_drawn_does_not_depend_on_where_a_set_begins() -> None:
    assert drawn(5, 10) == {0, 1, 2, 3, 4}
    assert drawn(10, 3) == drawn(10, 3)
    assert len(drawn(10_000, 100)) == 100


def test_the_dataset_that_is_not_recognised_is_named(tmp_path: Path) -> None:
    good = write(tmp_path / "a.jsonl", 3)
    (tmp_path / "b.jsonl").write_text('{"price": "1"}\n', "utf-8")
    report = inspect((good, DatasetPart(path=str(tmp_path / "b.jsonl"))), None, DataPart())
    (problem,) = report.problems
    assert problem.field == "dataset[1]"
    assert report.kind == "JSON Lines"


def test_answers_marked_as_bad_are_not_trained(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "kto.jsonl"
    lines = [
        json.dumps({"prompt": "hi", "completion": f"a{i}", "label": i % 2 == 0}) for i in range(30)
    ]
    path.write_text("\n".join(lines), "utf-8")
    made = prepare(tmp_path / "run", recipe(DatasetPart(path=str(path))), tiny_model)
    assert made.train_rows + made.eval_rows == 15
    path.write_text(lines[1], "utf-8")
    with pytest.raises(StudioError, match="marked as bad") as caught:
        prepare(tmp_path / "run", recipe(DatasetPart(path=str(path))), tiny_model)
    assert caught.value.fix


def test_token_ids_are_trained_as_they_are(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "ids.jsonl"
    lines = [{"input_ids": [5, 6, 7], "labels": [-100, -100, 7]}, {"input_ids": [10**6, 1]}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n" + json.dumps(lines[0]), "utf-8")
    parts = (DatasetPart(path=str(path)),)
    made = prepare(tmp_path / "run", recipe(*parts, eval_share=0.0), tiny_model)
    assert (made.train_rows, made.trained_tokens) == (2, 2)
    assert written_rows(tmp_path / "run", "train")[0] == ((5, 6, 7), (-100, -100, 7))
    report = inspect(parts, tiny_model, DataPart())
    assert report.usable_rows == 2
    (problem,) = (p for p in report.problems if p.row)
    assert (problem.row, problem.severity) == (2, "warning")
    assert "which the model doesn't know" in problem.text


def test_the_lens_spells_token_ids(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "ids.jsonl"
    ids = Encoder(tiny_model).tokenizer.encode("Once upon a time", add_special_tokens=False).ids
    path.write_text(json.dumps({"input_ids": ids, "labels": [-100, *ids[1:]]}), "utf-8")
    (example,) = examples((DatasetPart(path=str(path)),), tiny_model, DataPart(), count=1)
    assert "".join(piece.text for piece in example.pieces) == "Once upon a time"
    assert [piece.kind for piece in example.pieces][:2] == ["context", "trained"]
