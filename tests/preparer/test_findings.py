"""Made data with known findings: each counted exactly, named by its rows, dealt with by rule."""

# ruff: noqa: RUF001, SIM905
from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from studio.core.errors import StudioError
from studio.core.facts import DatasetReport
from studio.core.findings import KINDS, Finding, RowRef
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe
from studio.preparer.lens import examples
from studio.preparer.prepare import prepare
from studio.preparer.report import inspect
from studio.preparer.rows import rows
from tests.preparer.test_prepare import rows as written

WORDS = """
the morning of river and window to poem in quiet that bright was winter for letter with
garden as doctor on engine are planet be silver at forest this dinner have ticket from
museum or island an writer they music which teacher but village not mountain his summer
what yellow all paper were camera when bridge your street can table said market there book
use tree each child
""".split()


def text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words))


def made(path: Path) -> tuple[DatasetPart, dict[str, list[int]]]:
    """A file, and the numbers of the rows that each finding is about."""
    draw = random.Random(7)
    lines: list[dict[str, str]] = [
        {"prompt": text(draw, 12), "completion": text(draw, 30)} for _ in range(200)
    ]
    expected: dict[str, list[int]] = {}

    def add(keys: str, prompt: str, completion: str) -> None:
        lines.append({"prompt": prompt, "completion": completion})
        for key in keys.split():
            expected.setdefault(key, []).append(len(lines))

    for place in (0, 1, 1, 2):
        add("duplicate", **lines[place])
    for place in (10, 11, 12):
        changed = lines[place]["completion"].split()
        changed[3] = "something"
        add("near-duplicate", lines[place]["prompt"], " ".join(changed))
    add("too-long cut-answer", text(draw, 10), text(draw, 400))
    add("too-long cut-answer", text(draw, 400), text(draw, 10))
    add("short-answer", text(draw, 10), "Yes.")
    add("short-answer", text(draw, 10), "no idea, sorry")
    prompt = text(draw, 9)
    add("echo", prompt, f"{prompt.capitalize()}? {text(draw, 20)}")
    add(
        "language",
        "Was ist die Hauptstadt von Frankreich, und wo liegt sie eigentlich?",
        "Die Hauptstadt von Frankreich ist Paris, und sie liegt an der Seine und nicht am Rhein.",
    )
    add("language", "Какая столица у Франции и где она находится?",
        "Столица Франции это Париж, и он стоит на реке, которая называется Сена.")  # fmt: skip
    add("contact", text(draw, 10), f"{text(draw, 20)} bob@work.org {text(draw, 5)}")
    add("contact", f"call +49 30 90182099 {text(draw, 10)}", text(draw, 20))
    add("blanks", text(draw, 10), f"\n{text(draw, 20)}  ")
    add("empty", text(draw, 10), " ")
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return DatasetPart(path=str(path)), expected


def found(report: DatasetReport) -> dict[str, Finding]:
    return {finding.key: finding for finding in report.findings}


def test_every_finding_is_counted_and_names_its_rows(tmp_path: Path, tiny_model: Path) -> None:
    part, expected = made(tmp_path / "a.jsonl")
    report = inspect((part,), tiny_model, DataPart(max_length=512))
    findings = found(report)
    assert {key: [ref.row for ref in one.rows] for key, one in findings.items()} == expected
    assert list(findings) == [key for key in KINDS if key in expected]
    for key, one in findings.items():
        assert one.count == len(expected[key])
        assert one.title
        assert one.text
        assert one.fix
        assert "{" not in one.text + one.fix
    assert [ref.note for ref in findings["duplicate"].rows] == [
        f"the same as row {row}" for row in (1, 2, 2, 3)
    ]
    assert findings["near-duplicate"].rows[0].note == "nearly the same as row 11"
    assert [ref.note for ref in findings["language"].rows] == ["German", "Russian"]
    assert [ref.note for ref in findings["contact"].rows] == ["e-mail", "phone number"]
    assert "1 of them a whole one" in findings["cut-answer"].text
    assert findings["cut-answer"].severity == findings["contact"].severity == "warning"
    assert report.languages[0].name == "English"
    # without the empty row and the one that is cut before its answer
    assert (report.rows, report.usable_rows, report.kept_rows) == (218, 216, 216)


def test_rules_leave_rows_out_and_mend_them_in_report_and_data(
    tmp_path: Path, tiny_model: Path
) -> None:
    part, _ = made(tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    data = DataPart(
        drop=("duplicate", "near-duplicate", "cut-answer", "too-long", "echo", "language"),
        repair=("mask-contact", "trim"),
    )
    report = inspect((part,), tiny_model, data)
    dropped = {
        "duplicate": 4, "near-duplicate": 3, "cut-answer": 1, "too-long": 0, "echo": 1,
        "language": 2,
    }  # fmt: skip
    assert report.dropped == dropped
    assert report.repaired == {"mask-contact": 2, "trim": 1}
    assert report.kept_rows == 216 - sum(dropped.values())
    recipe = Recipe(model=ModelPart(path="x"), dataset=(part,), data=data)
    prepared = prepare(tmp_path / "run", recipe, tiny_model)
    assert (prepared.dropped, prepared.repaired) == (report.dropped, report.repaired)
    assert prepared.train_rows + prepared.eval_rows == report.kept_rows
    assert prepared.eval_rows == report.eval_rows
    assert (tmp_path / "a.jsonl").read_bytes() == before
    assert len(set(written(tmp_path / "run", "train"))) == prepared.train_rows
    contact = found(report)["contact"]
    assert contact.handled(data)
    assert not contact.handled(DataPart())
    masked = examples((part,), tiny_model, data, [contact.rows[0].row])[0]
    shown = "".join(piece.text for piece in masked.pieces)
    assert "[e-mail]" in shown
    assert "work.org" not in shown


def test_rules_that_leave_nothing_are_said(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"prompt": "hi", "completion": "to bob@work.org"}), "utf-8")
    part, data = DatasetPart(path=str(path)), DataPart(drop=("contact",))
    recipe = Recipe(model=ModelPart(path="x"), dataset=(part,), data=data)
    with pytest.raises(StudioError, match="rules of the recipe leave no row"):
        prepare(tmp_path / "run", recipe, tiny_model)
    assert inspect((part,), tiny_model, data).kept_rows == 0


def test_without_a_model_what_needs_tokens_is_not_said(tmp_path: Path) -> None:
    part, expected = made(tmp_path / "a.jsonl")
    findings = found(inspect((part,), None, DataPart()))
    assert set(findings) == set(expected) - {"too-long", "cut-answer"}


def test_copies_made_equal_by_trimming_are_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    answers = ["yes", " yes", "yes\n", "no"]
    path.write_text("\n".join(json.dumps({"prompt": "hi", "completion": a}) for a in answers))
    parts = (DatasetPart(path=str(path)),)
    assert found(inspect(parts, None, DataPart(repair=("trim",))))["duplicate"].count == 2
    assert "duplicate" not in found(inspect(parts, None, DataPart()))


def test_the_figures_of_the_report_are_those_of_its_lengths(
    tmp_path: Path, tiny_model: Path
) -> None:
    part, _ = made(tmp_path / "a.jsonl")
    short, long = (inspect((part,), tiny_model, DataPart(max_length=n)) for n in (150, 4096))
    assert short.lengths == long.lengths
    fate = long.lengths.at(150)
    assert fate.cut_rows == pytest.approx(short.cut_rows, abs=6)
    assert fate.trained_tokens == pytest.approx(short.trained_tokens, rel=0.02)
    assert (short.padding_share, short.packing_share) == (fate.padding_share, fate.packing_share)
    assert long.lengths.at(long.max_tokens).trained_tokens == pytest.approx(
        long.trained_tokens, rel=0.01
    )


def test_typical_and_unusual_rows(tmp_path: Path) -> None:
    draw = random.Random(1)
    lines = [{"text": text(draw, 40)} for _ in range(60)]
    lines[17] = {"text": " ".join(f"zq{draw.random()}" for _ in range(14))}
    lines[31] = {"text": text(draw, 4000)}
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    report = inspect((DatasetPart(path=str(path)),), None, DataPart())
    unusual = {ref.row: ref.note for ref in report.unusual}
    assert next(iter(unusual)) == 32
    assert "longer" in unusual[32]
    assert "other words" in unusual[18]
    assert not {18, 32} & {ref.row for ref in report.typical}
    assert len(report.typical) == 10


def test_findings_open_their_rows(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    one, expected = made(folder / "a.jsonl")
    (folder / "b.jsonl").write_text(json.dumps({"prompt": "hi", "completion": ""}), "utf-8")
    parts = (DatasetPart(path=str(folder)), one)
    report = inspect(parts, None, DataPart())
    contact = found(report)["contact"]
    assert contact.count == 4
    seen = rows(parts, contact.rows)
    assert [row.place for row in seen] == list(contact.rows)
    assert [row.place.part for row in seen] == [0, 0, 1, 1]
    assert "bob@work.org" in seen[0].said[1].text
    assert [said.role for said in seen[0].said] == ["user", "assistant"]
    empty = rows(parts, found(report)["empty"].rows)
    assert [(row.place.file, row.place.row) for row in empty] == [
        ("a.jsonl", expected["empty"][0]), ("b.jsonl", 1), ("a.jsonl", expected["empty"][0]),
    ]  # fmt: skip
    assert "is empty" in empty[1].problem
    assert not empty[1].said
    assert rows(parts, [RowRef(file="a.jsonl", row=9999)]) == []
