"""Reports of real files: figures that can be checked by hand, problems named by their row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.core.errors import StudioError
from studio.core.facts import DatasetReport
from studio.core.findings import Finding
from studio.core.problem import Problem
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer.lens import examples
from studio.preparer.report import inspect

SAMPLE = (DatasetPart(path="sample"),)


def jsonl(path: Path, rows: list[object]) -> tuple[DatasetPart, ...]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return (DatasetPart(path=str(path)),)


def chat(answer: str = "yes", question: str = "hi") -> dict[str, object]:
    return {"prompt": question, "completion": answer}


def said(report: DatasetReport, text: str) -> Problem:
    found = [problem for problem in report.problems if text in problem.text]
    assert found, [problem.text for problem in report.problems]
    return found[0]


def found(report: DatasetReport, key: str) -> Finding:
    (one,) = (finding for finding in report.findings if finding.key == key)
    return one


def test_the_sample_dataset_has_no_problem(tiny_model: Path) -> None:
    report = inspect(SAMPLE, tiny_model, DataPart())
    assert (report.format, report.confidence) == ("chat messages", 1.0)
    assert report.rows == report.usable_rows == sum(report.histogram) == 440
    assert report.problems == ()
    assert report.findings == ()
    assert (report.kept_rows, report.eval_rows) == (440, 44)
    assert [one.name for one in report.languages] == ["English"]
    assert 0 < report.trained_share == report.trained_tokens / report.tokens < 1
    assert report.max_tokens < report.bin_tokens * len(report.histogram)
    assert report.mean_tokens == pytest.approx(report.tokens / 440)


def test_without_a_model_there_are_no_token_figures() -> None:
    report = inspect(SAMPLE, None, DataPart())
    assert (report.usable_rows, report.tokens, report.histogram, report.template) == (
        440,
        0,
        (),
        "",
    )


def test_one_broken_row_in_a_thousand_is_a_warning(tmp_path: Path, tiny_model: Path) -> None:
    rows: list[object] = [chat(str(i)) for i in range(999)]
    rows.insert(416, '{"prompt": "hi", "completion":')
    report = inspect(jsonl(tmp_path / "a.jsonl", rows), tiny_model, DataPart())
    assert (report.rows, report.usable_rows) == (1000, 999)
    (problem,) = report.problems
    assert (problem.row, problem.severity) == (417, "warning")
    assert problem.text.startswith("Row 417 is not valid JSON (Expecting value at character 31)")
    assert problem.fix


def test_mostly_broken_rows_are_an_error(tmp_path: Path) -> None:
    rows: list[object] = [chat(), *[chat(" ")] * 250]
    report = inspect(jsonl(tmp_path / "a.jsonl", rows), None, DataPart())
    assert said(report, "250 of 251 rows can't be used").severity == "error"
    assert said(report, "150 rows more").severity == "warning"
    assert report.usable_rows == 1


def test_unknown_columns_come_with_their_names(tmp_path: Path) -> None:
    parts = jsonl(tmp_path / "a.jsonl", [{"price": "1", "weight": "2"}])
    report = inspect(parts, None, DataPart())
    assert (report.format, report.columns) == ("", ("price", "weight"))
    assert [problem.severity for problem in report.problems] == ["error"]


@pytest.mark.parametrize(
    ("part", "title"), [("", "not found"), ("no/where", "not on this machine")]
)
def test_what_is_not_there_is_a_sentence(part: str, title: str) -> None:
    with pytest.raises(StudioError, match=title):
        inspect((DatasetPart(path=part),), None, DataPart())


def test_rows_cut_before_their_answer_are_counted(tmp_path: Path, tiny_model: Path) -> None:
    long = " ".join(["morning"] * 40)
    parts = jsonl(tmp_path / "a.jsonl", [chat(), chat(long), chat("yes", long)])
    report = inspect(parts, tiny_model, DataPart(max_length=32))
    assert report.cut_rows == 2
    assert report.usable_rows == 2
    assert report.max_tokens > 32
    long_rows, cut_answers = found(report, "too-long"), found(report, "cut-answer")
    assert "2 rows of 3 (67 %) are longer than 32 tokens" in long_rows.text
    assert str(report.max_tokens) in long_rows.fix
    assert [ref.row for ref in cut_answers.rows] == [2, 3]
    assert "1 of them a whole one" in cut_answers.text


def test_every_token_masked_is_an_error(tmp_path: Path, tiny_model: Path) -> None:
    parts = jsonl(tmp_path / "a.jsonl", [chat(question="morning " * 40)] * 3)
    report = inspect(parts, tiny_model, DataPart(max_length=16))
    assert report.usable_rows == 0
    assert said(report, "Every token is masked").severity == "error"


def test_repeated_rows_and_notes_on_the_template(
    tmp_path: Path, family: Callable[[str], Path], tiny_model: Path
) -> None:
    row = {"system": "Be brief", **chat()}
    parts = jsonl(tmp_path / "a.jsonl", [row, row, chat("no")])
    report = inspect(parts, family("gemma"), DataPart())
    assert (found(report, "duplicate").count, found(report, "duplicate").rows[0].row) == (1, 2)
    assert said(report, "2 rows say their system message as the user").severity == "info"
    bare = shutil.copytree(tiny_model, tmp_path / "bare")
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        (bare / name).unlink(missing_ok=True)
    report = inspect(parts, bare, DataPart())
    assert report.template == "ChatML"
    assert said(report, "no chat template").severity == "info"


def test_control_tokens_in_the_text_are_a_warning(tmp_path: Path, tiny_model: Path) -> None:
    parts = jsonl(tmp_path / "a.jsonl", [chat(), chat("no<|im_end|>sense"), chat("<|im_e nd|>")])
    report = inspect(parts, tiny_model, DataPart())
    assert said(report, "Row 2 says a control token").severity == "warning"


def test_a_folder_names_the_file_of_a_bad_row(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", [chat(), chat("no")])
    jsonl(tmp_path / "b.jsonl", [chat("maybe"), chat(""), chat("well")])
    report = inspect((DatasetPart(path=str(tmp_path)),), None, DataPart())
    assert said(report, "b.jsonl, row 2").row == 2


def test_the_lens_shows_every_character_once_and_each_fate(tiny_model: Path) -> None:
    text = "".join(p.text for p in examples(SAMPLE, tiny_model, DataPart(), count=1)[0].pieces)
    assert text.startswith("<|im_start|>user\nOrder")
    assert text.endswith("<|im_end|>\n")
    (cut,) = examples(SAMPLE, tiny_model, DataPart(max_length=60), start=3, count=1)
    assert cut.row == 4
    assert {piece.kind for piece in cut.pieces} == {"context", "trained", "cut"}
    assert all(piece.kind == "cut" for piece in cut.pieces[60:])
    assert [p.text for p in cut.pieces if p.special and p.kind == "context"][:1] == ["<|im_start|>"]
    trained = "".join(piece.text for piece in cut.pieces if piece.kind == "trained")
    assert trained.startswith('{"order": ')


def test_the_lens_finds_rows_by_number_and_shows_why_one_is_unusable(
    tmp_path: Path, tiny_model: Path
) -> None:
    parts = jsonl(tmp_path / "a.jsonl", [chat(), chat(""), chat("🙂 no")])
    third, second = examples(parts, tiny_model, DataPart(), rows=[3, 2, 99])
    assert (third.row, second.row) == (3, 2)
    assert "🙂 no" in "".join(piece.text for piece in third.pieces)
    assert second.problem.startswith("Row 2 is empty in “completion”.")
