"""Short names of layers mean the architecture's own."""

from __future__ import annotations

from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.core.sizing.architectures import shapes_of
from studio.core.target_names import modules

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
}
GPT2: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 512}


@pytest.mark.parametrize(
    ("kind", "sizes", "words", "meant"),
    [
        ("llama", SIZES, "q,v", ("q_proj", "v_proj")),
        ("llama", SIZES, "mlp", ("gate_proj", "up_proj", "down_proj")),
        ("llama", SIZES, "Q, K_proj,lm_head", ("q_proj", "k_proj", "lm_head")),
        ("llama", SIZES, "model.layers.0.self_attn.o_proj", ("o_proj",)),
        ("llama", SIZES, "all-linear", "all-linear"),
        ("phi3", SIZES, "q,k,v,gate,down", ("qkv_proj", "gate_up_proj", "down_proj")),
        ("phi", SIZES, "o,mlp", ("dense", "fc1", "fc2")),
        ("gpt_neox", SIZES, "attn,mlp", ("query_key_value", "dense", "dense_h_to_4h")),
        ("gpt2", GPT2, "q,o,up", ("c_attn", "c_proj", "c_fc")),
    ],
)
def test_short_names_are_the_architectures_own(
    kind: str, sizes: dict[str, Any], words: str, meant: str | tuple[str, ...]
) -> None:
    shapes = shapes_of({"model_type": kind, **sizes})
    assert shapes is not None
    found = modules(words, shapes)
    assert found[: len(meant)] == meant
    if found != "all-linear":
        assert sum(one.values for one in shapes.targeted(found)) > 0


def test_every_word_that_means_nothing_is_named() -> None:
    shapes = shapes_of({"model_type": "llama", **SIZES})
    with pytest.raises(StudioError) as told:
        modules("q,x_proj,embed_tokens,gates", shapes)
    assert len(told.value.problems) == 3
    assert "q_proj" in told.value.fix
    with pytest.raises(StudioError, match="No layer is targeted"):
        modules(" , ", shapes)


def test_of_an_unknown_model_words_are_taken_as_they_are() -> None:
    assert modules("q,whatever", None) == ("q", "whatever")
