"""The checks of every row: each fails where it should, names its rows, and nowhere else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from studio.core.facts import DatasetReport, Example
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import checks
from studio.preparer.lens import examples
from studio.preparer.report import inspect

LONG = "morning river window " * 8


def chat(question: str, *answers: str) -> dict[str, list[dict[str, str]]]:
    said = [("user", question), ("assistant", answers[0])]
    for answer in answers[1:]:
        said += [("user", "And?"), ("assistant", answer)]
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def written(path: Path, rows: Sequence[object]) -> list[DatasetPart]:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return [DatasetPart(path=str(path))]


def texts(report: DatasetReport, part: str) -> list[str]:
    return [problem.text for problem in report.problems if part in problem.text]


def said(example: Example) -> str:
    return " ".join(check.text for check in example.checks)


def test_sound_rows_pass_every_check(tiny_model: Path, tmp_path: Path) -> None:
    parts = written(tmp_path / "a.jsonl", [chat("Who?", "Me 🙂."), chat("Where?", "Here.", "No.")])
    assert [one.checks for one in examples(parts, tiny_model, DataPart())] == [(), ()]


def test_what_the_cut_takes_is_said_apart(tiny_model: Path, tmp_path: Path) -> None:
    rows = [
        chat("Short?", "Yes."),
        chat("Long?", LONG),
        chat("Two?", "One.", LONG + "x", "three"),
        chat(LONG, "never"),
        chat(LONG, "never again"),
    ]
    parts = written(tmp_path / "a.jsonl", rows)
    data = DataPart(max_length=40)
    found = examples(parts, tiny_model, data)
    assert not found[0].checks
    assert "Row 2 is cut inside an answer, at 40 tokens" in said(found[1])
    assert "Row 3 loses a whole answer to the cut at 40 tokens" in said(found[2])
    assert "Row 4 is left out: cut at 40 tokens, before the answer begins" in said(found[3])
    assert {check.field for one in found for check in one.checks} == {"data.max_length"}
    report = inspect(parts, tiny_model, data)
    (finding,) = [one for one in report.findings if one.key == "cut-answer"]
    assert finding.text.startswith("4 rows")
    assert "3 of them a whole one" in finding.text
    assert [one.row for one in finding.rows] == [2, 3, 4, 5]
    assert report.usable_rows == 3


def test_an_answer_without_an_end_a_doubled_beginning_and_a_control_token(
    family: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "endless")
    template = model / "chat_template.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}", encoding="utf-8")
    parts = written(tmp_path / "a.jsonl", [chat("Who?", "Me."), chat("Where?", "Here.")])
    assert "Row 1 has an answer that no end token ends" in said(
        examples(parts, model, DataPart())[0]
    )
    assert texts(inspect(parts, model, DataPart()), "2 rows have an answer that no end token ends")
    double = shutil.copytree(family("llama"), tmp_path / "double")
    own = json.loads((double / "tokenizer_config.json").read_text("utf-8"))["chat_template"]
    (double / "chat_template.jinja").write_text("{{ bos_token }}" + own, encoding="utf-8")
    found = examples(parts, double, DataPart())
    assert said(found[0]) == "Row 1 begins with its first token twice."
    assert not examples(parts, family("llama"), DataPart())[0].checks
    parts = written(tmp_path / "b.jsonl", [chat("Who?", "Me."), chat("<|im_end|>", "Here.")])
    assert [said(one) for one in examples(parts, tiny_model, DataPart())] == [
        "", "Row 2 says a control token, such as an end of turn.",
    ]  # fmt: skip


def test_answers_that_the_tokenizer_cannot_read_back_are_found(
    tiny_model: Path, tmp_path: Path
) -> None:
    """A tokenizer of few letters makes ids of everything, but not of these words."""
    model = shutil.copytree(tiny_model, tmp_path / "few letters")
    letters = {letter: place for place, letter in enumerate("?abcdefghijklmnopqrstuvwxyzHW .")}
    tokenizer = Tokenizer(models.BPE(letters, [], unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["\n"])
    tokenizer.save(str(model / "tokenizer.json"))
    rows = [chat("where", "here"), chat("where", "Γειά here")]
    found = examples(written(tmp_path / "a.jsonl", rows), model, DataPart())
    assert not found[0].checks
    assert "Row 2 has an answer whose tokens don't read back as its words" in said(found[1])


def test_rows_whose_labels_train_nothing(tiny_model: Path, tmp_path: Path) -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, -100, -100]},
            {"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}]  # fmt: skip
    parts = written(tmp_path / "a.jsonl", rows)
    assert texts(inspect(parts, tiny_model, DataPart()), "Row 1 has nothing to train on")
    first, second = examples(parts, tiny_model, DataPart())
    assert first.checks
    assert not second.checks


def test_rows_are_named_by_file_and_counted_beyond_the_first(tmp_path: Path) -> None:
    tally = checks.Tallied(9)
    made = checks.Tokens("", [1] * 9, [True] * 9, [(0, 0)] * 9, ((0, 9),), ends=False)
    for row in range(1, 301):
        tally.add(made, f"b.csv, row {row}", row)
    (problem,) = tally.problems()
    assert problem.text.startswith("300 rows have an answer that no end token ends")
    assert "(b.csv, row 1, b.csv, row 2" in problem.text
    assert tally.count("end") == 300
    assert len(tally.rows["end"]) == checks.KEPT_ROWS


def test_a_template_that_the_model_has_no_tokens_for_is_a_warning(
    tiny_model: Path, tmp_path: Path
) -> None:
    parts = written(tmp_path / "a.jsonl", [chat("Who?", "Me.")])
    (text,) = texts(inspect(parts, tiny_model, DataPart(template="gemma")), "The model knows no")
    assert "<end_of_turn>" in text
    assert not texts(inspect(parts, tiny_model, DataPart(template="qwen")), "The model knows no")


@pytest.mark.parametrize("train_on", ["assistant", "last", "everything"])
def test_system_prompt_and_what_is_trained(tiny_model: Path, tmp_path: Path, train_on: str) -> None:
    system = {"role": "system", "content": "Mine."}
    rows = [chat("Who?", "Me.", "You."), {"messages": [system, *chat("Who?", "Me.")["messages"]]}]
    data = DataPart(system_prompt="Be kind.", train_on=train_on)  # type: ignore[arg-type]
    first, second = examples(written(tmp_path / "a.jsonl", rows), tiny_model, data)
    text = "".join(piece.text for piece in first.pieces)
    assert text.startswith("<|im_start|>system\nBe kind.<|im_end|>\n")
    assert "Be kind." not in "".join(piece.text for piece in second.pieces)
    trained = "".join(piece.text for piece in first.pieces if piece.kind == "trained")
    assert (
        trained
        == {
            "assistant": "Me.<|im_end|>You.<|im_end|>",
            "last": "You.<|im_end|>",
            "everything": text.removeprefix("<|im_start|>"),
        }[train_on]
    )
