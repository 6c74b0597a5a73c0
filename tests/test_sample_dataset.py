"""The sample dataset: what its generator makes, and nothing of training in the held-out rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tokenizers import Tokenizer

from studio.library import datasets
from tests import sample_generator as generator


def rows(name: str) -> list[list[dict[str, str]]]:
    text = (generator.FOLDER / name).read_text("utf-8")
    return [json.loads(line)["messages"] for line in text.splitlines()]


def test_files_match_the_generator() -> None:
    for name, text in generator.files().items():
        assert (generator.FOLDER / name).read_bytes() == text.encode()


def test_enough_rows_and_no_row_twice() -> None:
    train, heldout = rows("train.jsonl"), rows("heldout.jsonl")
    assert len(train) >= 400
    assert len(heldout) >= 60
    notes = [chat[0]["content"] for chat in train + heldout]
    assert len(set(notes)) == len(notes)


def test_heldout_rows_share_no_value_and_half_of_their_patterns_are_new() -> None:
    found = datasets.sample_overlap()
    assert found.shared_values == 0
    assert found.shared_words == 0
    assert found.new_patterns == 0.5


def test_no_heldout_value_stands_anywhere_in_a_training_row() -> None:
    training = set(re.findall(r"[\w-]+", json.dumps(rows("train.jsonl")).casefold()))
    values = [json.loads(chat[-1]["content"]).values() for chat in rows("heldout.jsonl")]
    words = {word for row in values for value in row for word in str(value).casefold().split()}
    assert words
    assert words & training == set()


def test_overlap_notices_a_shared_value_and_a_known_pattern() -> None:
    train: list[tuple[str, dict[str, object]]] = [
        ("one red lamp for Ada", {"item": "red lamp", "to": "Ada"})
    ]
    heldout: list[tuple[str, dict[str, object]]] = [
        ("one red sofa for Ada", {"item": "red sofa", "to": "Ada"}),
        ("Eve needs a bed", {"item": "bed", "to": "Eve"}),
    ]
    found = datasets.overlap(train, heldout)
    assert (found.shared_values, found.shared_words, found.new_patterns) == (1 / 4, 2 / 5, 1 / 2)


def test_every_answer_is_the_exact_form_and_its_values_stand_in_the_note() -> None:
    for chat in rows("train.jsonl") + rows("heldout.jsonl"):
        assert [message["role"] for message in chat] == ["user", "assistant"]
        answer = json.loads(chat[-1]["content"])
        assert list(answer) == ["order", "item", "to"]
        assert chat[-1]["content"] == json.dumps(answer)
        assert all(str(value) in chat[0]["content"] for value in answer.values())


def test_rows_stay_under_80_tokens_for_the_starter_model(starter_model: Path) -> None:
    tokenizer = Tokenizer.from_file(str(starter_model / "tokenizer.json"))
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    for chat in rows("train.jsonl") + rows("heldout.jsonl"):
        turns = [("system", system), *((m["role"], m["content"]) for m in chat)]
        text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
        assert len(tokenizer.encode(text).ids) < 80
