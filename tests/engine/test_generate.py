"""Tokens are chosen as asked, and their text never holds half a character."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from studio.engine import generate
from studio.engine.generate import Detokenizer, Sampler
from studio.engine.load import load_tokenizer
from tests.support import adapters as made

TEXTS = [
    "plain words",
    "naïve café",
    "🍎🍏 and 👩‍👩‍👧",
    "日本語の文章",
    "tab\tand\nnewline ",
    "\u0301combining",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> object:
    return load_tokenizer(tiny_model)


def pieces(tokenizer: object, text: str) -> list[str]:
    words = Detokenizer(tokenizer)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [words.add(token) for token in ids] + [words.rest()]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text_and_are_whole_characters(tokenizer: object, text: str) -> None:
    told = pieces(tokenizer, text)
    assert "".join(told) == text
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in told)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_any_text_streams_unbroken(tokenizer: object, text: str) -> None:
    text = text.replace("\N{REPLACEMENT CHARACTER}", "")
    assert "".join(pieces(tokenizer, text)) == text


def test_a_character_cut_off_at_the_end_is_left_out(tokenizer: object) -> None:
    ids = tokenizer("x🍎", add_special_tokens=False)["input_ids"]
    assert len(ids) > 2
    words = Detokenizer(tokenizer)
    assert "".join([words.add(token) for token in ids[:-1]] + [words.rest()]) == "x"


def test_greedy_takes_the_likeliest_and_a_seed_repeats() -> None:
    logits = torch.tensor([0.1, 3.0, 2.9, -1.0])
    assert Sampler(0.0, 1.0, 0)(logits) == 1
    one, two = Sampler(1.0, 1.0, 7), Sampler(1.0, 1.0, 7)
    assert [one(logits) for _ in range(20)] == [two(logits) for _ in range(20)]


def test_top_p_keeps_the_nucleus_only() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    narrow, wide = Sampler(1.0, 0.7, 0), Sampler(1.0, 1.0, 0)
    assert {narrow(logits) for _ in range(300)} == {0, 1}
    assert {wide(logits) for _ in range(300)} == {0, 1, 2, 3}


def test_temperature_flattens_as_its_formula_says() -> None:
    logits = torch.tensor([0.0, 2.0])
    sampler = Sampler(2.0, 1.0, 1)
    share = sum(sampler(logits) for _ in range(4000)) / 4000
    assert share == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item(), abs=0.03)


def test_a_batch_answers_as_each_row_alone(tiny_model: Path, tokenizer: object) -> None:
    model = made.load(tiny_model)
    texts = ["The quick", "What is the capital of France? It is", "yes"]
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    together = generate.greedy(model, prompts, frozenset({2}), 12)
    alone = [
        list(generate.stream(model, prompt, Sampler(0, 1, 0), frozenset({2}), 12))
        for prompt in prompts
    ]
    assert together == alone
    reference = model.generate(
        torch.tensor([prompts[1]]), max_new_tokens=12, do_sample=False, pad_token_id=2
    )
    assert reference[0, len(prompts[1]) :].tolist()[: len(alone[1])] == alone[1]


def test_answers_end_at_any_stop_token(tiny_model: Path, tokenizer: object) -> None:
    model = made.load(tiny_model)
    prompt = tokenizer("The quick")["input_ids"]
    free = list(generate.stream(model, prompt, Sampler(0, 1, 0), frozenset(), 12))
    cut = frozenset({free[4]})
    expected = free[: free.index(free[4])]
    assert list(generate.stream(model, prompt, Sampler(0, 1, 0), cut, 12)) == expected
    assert generate.greedy(model, [prompt], cut, 12) == [expected]


def test_stop_tokens_come_from_model_and_template(tiny_model: Path, tokenizer: object) -> None:
    stops = generate.stop_tokens(made.load(tiny_model), tokenizer)
    assert stops == {tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_a_nucleus_of_nothing_still_holds_the_likeliest_token() -> None:
    assert Sampler(1.0, 0.0, seed=0)(torch.tensor([0.0, 3.0, 1.0])) == 1
