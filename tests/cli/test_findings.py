"""dataset: findings with their counts, their rows, and the rules that deal with them."""

from __future__ import annotations

import json
from pathlib import Path

from studio.library.folders import Home
from tests.support.command_line import ask, call


def write(path: Path) -> Path:
    lines = [{"prompt": f"number {i}", "completion": f"It is {i * i}."} for i in range(30)]
    lines += [lines[4], {"prompt": "Who?", "completion": "Write to bob@work.org."}]
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return path


def test_findings_are_printed_with_their_ways_out(home: Home, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl")
    said = call(home, "dataset", path)
    assert said.code == 0
    assert "1 row of 32 (3 %) says the same as an earlier row (duplicates)." in said.out
    assert "--finding duplicate, --drop duplicate" in said.out
    assert "holds e-mail (1)" in said.out
    report = ask(home, "dataset", path).result
    assert {one["key"]: one["count"] for one in report["findings"]} == {
        "duplicate": 1,
        "contact": 1,
    }


def test_the_rows_of_a_finding_are_printed(home: Home, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl")
    said = call(home, "dataset", path, "--finding", "duplicate")
    assert said.out.splitlines()[-3:] == [
        "Row 31: the same as row 5", "    user: number 4", "    assistant: It is 16.",
    ]  # fmt: skip
    (row,) = ask(home, "dataset", path, "--finding", "contact").result
    assert (row["place"]["row"], row["place"]["note"]) == (32, "e-mail")
    said = call(home, "dataset", path, "--finding", "language")
    assert said.code != 0
    assert "Found was: duplicate, contact" in said.err


def test_rules_are_tried_without_a_recipe(home: Home, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl")
    rules = ("--drop", "duplicate", "--repair", "mask-contact")
    said = call(home, "dataset", path, *rules)
    assert "31 of 32 rows after your rules; left out: duplicates 1. Mended: 1 masked." in said.out
    assert "(a rule deals with it)" in said.out
    assert ask(home, "dataset", path, *rules).result["kept_rows"] == 31
