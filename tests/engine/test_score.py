"""Held-out rows: an answer is right or not, before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.core.commands import Cancel, Chat, Say, Score
from studio.core.errors import StudioError
from studio.core.events import Answered, Cancelled, Finished
from studio.engine import score
from studio.library import jobs
from studio.library.folders import Home
from tests.support import adapters as made
from tests.support import engines

HALF = "\N{REPLACEMENT CHARACTER}"
"""What a character cut off by the limit decodes to."""


def write_rows(file: Path, *pairs: tuple[str, str]) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in pairs
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    return file


@pytest.mark.parametrize(
    ("wanted", "answer", "right"),
    [
        ('{"a": 1, "b": [2]}', '{ "b":[2],"a":1 }\n', True),
        ('{"a": 1}', '{"a": "1"}', False),
        ('{"a": 1}', '{"a": 1} and more', False),
        ("Paris", " Paris\n", True),
        ("Paris", "paris", False),
        ("12", "12.0", True),
    ],
)
def test_json_is_compared_by_value_and_text_as_it_stands(
    wanted: str, answer: str, right: bool
) -> None:
    assert score.same(wanted, answer) is right


def score_of(
    home: Home, model: Path, adapter: Path, folder: Path, pairs: list[tuple[str, str]]
) -> dict[str, Any]:
    rows = write_rows(folder / "rows.jsonl", *pairs)
    context = engines.context_of(
        home, Score(model=str(model), rows=str(rows), adapter=str(adapter))
    )
    score.run(context)
    last = engines.events_of(context)[-1]
    assert isinstance(last, Finished)
    return last.result


def answers_of(home: Home, model: Path, questions: list[str], adapter: Path | None) -> list[str]:
    """What the conversation engine says to each question, greedily."""
    side = str(adapter) if adapter else ""
    told = []
    with engines.holding(home, Chat(model=str(model), dtype="float32")) as held:
        for number, question in enumerate(questions):
            messages = ({"role": "user", "content": question},)
            held.tell(
                Say(
                    request=str(number), messages=messages, adapters=(side,), temperature=0,
                    max_new_tokens=12,
                )
            )  # fmt: skip
            events = held.until(lambda event: isinstance(event, Answered))
            told += [event.text for event in events if isinstance(event, Answered)]
    return told


def test_before_and_after_are_the_two_models_answers(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "BATCH_ROWS", 2)
    monkeypatch.setattr(score, "_room", lambda speaker, rows: 12)
    monkeypatch.setattr(score.precision, "decide", lambda *_: score.precision.Precision(
        name="float32", reason="test"))  # fmt: skip
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", seed=5)
    questions = ["What is the capital of France?", "yes", "The quick brown fox jumps over", "no"]
    first = score_of(home, tiny_model, adapter, tmp_path, [(q, "unknown") for q in questions])
    before = [example["before"] for example in first["examples"]]
    after = [example["after"] for example in first["examples"]]
    assert [text.rstrip(HALF) for text in before] == answers_of(home, tiny_model, questions, None)
    assert [text.rstrip(HALF) for text in after] == answers_of(home, tiny_model, questions, adapter)
    assert not set(before) & set(after)
    assert (first["metric_before"], first["metric_after"], first["rows"]) == (0, 0, 4)
    wanted = list(zip(questions, [before[0], *after[1:]], strict=True))
    second = score_of(home, tiny_model, adapter, tmp_path, wanted)
    assert (second["metric_before"], second["metric_after"]) == (0.25, 0.75)


def test_the_limit_and_the_model_alone(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", *[("question", "answer")] * 5)
    context = engines.context_of(home, Score(model=str(tiny_model), rows=str(rows), limit=3))
    score.run(context)
    last = engines.events_of(context)[-1]
    assert isinstance(last, Finished)
    assert last.result["rows"] == 3
    assert last.result["metric_before"] == 0
    assert last.result["metric_after"] is None


@pytest.mark.parametrize(
    "content", ["", "\n", "no json\n", '{"text": "x"}\n', '{"messages": [{"role": "user"}]}\n']
)
def test_rows_that_cant_be_scored(
    home: Home, tmp_path: Path, tiny_model: Path, content: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(content, "utf-8")
    with pytest.raises(StudioError, match=r"rows\.jsonl"):
        score.run(engines.context_of(home, Score(model=str(tiny_model), rows=str(rows))))


def test_cancel_ends_a_score(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", ("question", "answer"))
    context = engines.context_of(home, Score(model=str(tiny_model), rows=str(rows)))
    jobs.tell(context.folder.path, Cancel())
    score.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
