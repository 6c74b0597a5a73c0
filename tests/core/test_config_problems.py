"""What is missing or strange in a config.json, all at once; real configs have nothing."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core import config_problems
from studio.library import catalogue

SOUND: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}


def fields(config: dict[str, Any]) -> list[str]:
    return [problem.field for problem in config_problems.problems(config)]


def test_every_real_config_is_sound() -> None:
    for model in catalogue.known():
        assert fields(model.config) == [], model.id


@pytest.mark.parametrize("name", sorted(SOUND))
@pytest.mark.parametrize("value", [None, 0, -4, 3.5, "64", True, [64], 1 << 40])
def test_each_size_has_to_be_one(name: str, value: object) -> None:
    if name == "num_key_value_heads" and value is None:
        assert fields(SOUND | {name: None}) == []  # then there are as many as heads
    elif name == "model_type" and value == "64":
        assert fields(SOUND | {name: value}) == []  # an architecture that isn't known
    else:
        assert fields(SOUND | {name: value}) == [name]


def test_heads_have_to_divide() -> None:
    assert fields(SOUND | {"num_attention_heads": 6}) == ["num_attention_heads"]
    assert fields(SOUND | {"num_attention_heads": 6, "head_dim": 16}) == []
    assert fields(SOUND | {"num_key_value_heads": 3}) == ["num_key_value_heads"]


def test_other_architectures_call_their_sizes_otherwise() -> None:
    gpt2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}
    assert fields(gpt2) == []
    assert fields(gpt2 | {"n_head": 11}) == ["num_attention_heads"]
    assert fields({"model_type": "something-new"}) == []
    assert fields({"model_type": "something-new", "hidden_size": -1}) == ["hidden_size"]


def test_a_text_model_inside_may_leave_out_what_its_architecture_says() -> None:
    inside = {"hidden_size": 2560, "num_hidden_layers": 34, "vocab_size": "?"}
    assert fields({"model_type": "gemma3", "text_config": inside}) == ["text_config.vocab_size"]


@pytest.mark.parametrize(
    ("data", "config"),
    [
        (SOUND, True),
        ({"architectures": ["LlamaForCausalLM"]}, True),
        ({"n_embd": 3}, True),
        ({"model": "starter", "dataset": "sample"}, False),
        ([1], False),
        ("text", False),
        (None, False),
    ],
)
def test_a_config_is_told_from_a_recipe(data: object, config: bool) -> None:
    assert config_problems.looks_like_config(data) is config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sliding_window", -3),
        ("sliding_window", "wide"),
        ("tie_word_embeddings", "yes"),
        ("partial_rotary_factor", 50),
        ("attention_dropout", "a little"),
        ("decoder_sparse_step", 0),
        ("layer_types", ["full_attention"]),
        ("text_config", "x"),
    ],
)
def test_what_is_rarely_said_has_to_make_sense_too(field: str, value: object) -> None:
    assert fields(SOUND | {field: value}) == [field]
    assert fields(SOUND | {field: None}) == []


def test_a_token_goes_to_no_more_experts_than_there_are() -> None:
    experts = {"num_local_experts": 8, "num_experts_per_tok": 2}
    assert fields(SOUND | experts) == []
    assert fields(SOUND | experts | {"num_experts_per_tok": 9}) == ["num_experts_per_tok"]


def test_what_sees_pictures_is_looked_at_as_well() -> None:
    whole = {"model_type": "gemma3", "text_config": {}, "vision_config": {"patch_size": 0}}
    assert fields(whole) == ["vision_config.patch_size"]
    assert fields(whole | {"vision_config": 5}) == ["vision_config"]


def test_a_huge_value_is_not_said_in_full() -> None:
    [problem] = config_problems.problems(SOUND | {"hidden_size": 10**5000})
    assert len(problem.text) < 120
