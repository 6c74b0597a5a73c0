"""The shapes of GPT-2, GPT-NeoX (Pythia, StableLM alpha) and Falcon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.core.sizing.fields import Fields
from studio.core.sizing.shapes import Linear, Role, Shapes, Tensor

_GPT2: dict[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "activation_function": "gelu_new",
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "tie_word_embeddings": True,
}
_GPT_NEOX: dict[str, Any] = {
    "vocab_size": 50432,
    "hidden_size": 6144,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "intermediate_size": 24576,
    "hidden_act": "gelu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "attention_bias": True,
}
_FALCON: dict[str, Any] = {
    "vocab_size": 65024,
    "hidden_size": 4544,
    "num_hidden_layers": 32,
    "num_attention_heads": 71,
    "new_decoder_architecture": False,
    "multi_query": True,
    "parallel_attn": True,
    "activation": "gelu",
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


def gpt2(config: Mapping[str, Any]) -> Shapes:
    """Conv1D layers (weights stored inputs first), learnt positions, LayerNorm, biases."""
    fields = Fields(config, _GPT2)
    hidden, layers = fields.whole("n_embd"), fields.whole("n_layer")
    heads, vocabulary = fields.whole("n_head"), fields.whole("vocab_size")
    wide = fields.optional("n_inner") or 4 * hidden
    positions, tied = fields.whole("n_positions"), fields.flag("tie_word_embeddings")

    def conv(module: str, inputs: int, outputs: int, role: Role) -> Linear:
        return Linear(
            module=module,
            inputs=inputs,
            outputs=outputs,
            role=role,
            count=layers,
            bias=True,
            transposed=True,
        )

    return Shapes(
        kind="gpt2",
        hidden=hidden,
        intermediate=wide,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        vocabulary=vocabulary,
        tied=tied,
        linears=(
            conv("c_attn", hidden, 3 * hidden, "attention"),
            conv("c_proj", hidden, hidden, "attention"),
            conv("c_fc", hidden, wide, "mlp"),
            conv("c_proj", wide, hidden, "mlp"),
        ),
        others=(
            *_layer_norms(hidden, 2 * layers + 1),
            Tensor(name="wpe.weight", shape=(positions, hidden)),
            *_ends(vocabulary, hidden, tied),
        ),
        gated=False,
        activation=fields.text("activation_function"),
        fused_qkv=True,
        norm="layer",
        positions=positions,
        context=positions,
        embedding_dropout=fields.number("embd_pdrop"),
        attention_dropout=fields.number("attn_pdrop"),
        residual_dropout=fields.number("resid_pdrop"),
    )


def gpt_neox(config: Mapping[str, Any]) -> Shapes:
    """Fused queries, keys and values, LayerNorm, a plain feed-forward part, biases; usually
    parallel; a quarter of a head turns."""
    fields = Fields(config, _GPT_NEOX | {"rotary_pct": 0.25})
    hidden, layers = fields.whole("hidden_size"), fields.whole("num_hidden_layers")
    heads, vocabulary = fields.whole("num_attention_heads"), fields.whole("vocab_size")
    wide, tied = fields.whole("intermediate_size"), fields.flag("tie_word_embeddings")
    bias = fields.flag("attention_bias")
    return Shapes(
        kind="gpt_neox",
        hidden=hidden,
        intermediate=wide,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        vocabulary=vocabulary,
        tied=tied,
        linears=(
            _linear("query_key_value", hidden, 3 * hidden, "attention", bias, layers),
            _linear("dense", hidden, hidden, "attention", bias, layers),
            _linear("dense_h_to_4h", hidden, wide, "mlp", True, layers),
            _linear("dense_4h_to_h", wide, hidden, "mlp", True, layers),
        ),
        others=(*_layer_norms(hidden, 2 * layers + 1), *_ends(vocabulary, hidden, tied)),
        gated=False,
        activation=fields.text("hidden_act"),
        fused_qkv=True,
        norm="layer",
        parallel=fields.flag("use_parallel_residual"),
        rotary=int(hidden // heads * fields.rotary_share("rotary_pct")),
        context=fields.optional("max_position_embeddings"),
        embedding_dropout=fields.number("hidden_dropout"),
        attention_dropout=fields.number("attention_dropout"),
        residual_dropout=fields.number("hidden_dropout"),
    )


def falcon(config: Mapping[str, Any]) -> Shapes:
    """Fused queries, keys and values of few key heads, LayerNorm, parallel residuals."""
    fields = Fields(config, _FALCON)
    hidden, layers = fields.whole("hidden_size"), fields.whole("num_hidden_layers")
    heads, vocabulary = fields.whole("num_attention_heads"), fields.whole("vocab_size")
    newer, parallel = fields.flag("new_decoder_architecture"), fields.flag("parallel_attn")
    keys = heads
    if newer:
        keys = fields.optional("num_kv_heads") or heads
    elif fields.flag("multi_query"):
        keys = 1
    wide, tied = (
        fields.optional("ffn_hidden_size") or 4 * hidden,
        fields.flag("tie_word_embeddings"),
    )
    bias, qkv = fields.flag("bias"), hidden // heads * (heads + 2 * keys)
    norms = 2 if not parallel or (newer and fields.number("num_ln_in_parallel_attn") != 1) else 1
    return Shapes(
        kind="falcon",
        hidden=hidden,
        intermediate=wide,
        layers=layers,
        heads=heads,
        kv_heads=keys,
        head_dim=hidden // heads,
        vocabulary=vocabulary,
        tied=tied,
        linears=(
            _linear("query_key_value", hidden, qkv, "attention", bias, layers),
            _linear("dense", hidden, hidden, "attention", bias, layers),
            _linear("dense_h_to_4h", hidden, wide, "mlp", bias, layers),
            _linear("dense_4h_to_h", wide, hidden, "mlp", bias, layers),
        ),
        others=(*_layer_norms(hidden, norms * layers + 1), *_ends(vocabulary, hidden, tied)),
        gated=False,
        activation=fields.text("activation"),
        fused_qkv=True,
        norm="layer",
        norms=norms,
        parallel=parallel or newer,
        rotary=0 if fields.flag("alibi") else hidden // heads,
        context=fields.optional("max_position_embeddings"),
        attention_dropout=fields.number("attention_dropout"),
        residual_dropout=fields.number("hidden_dropout"),
    )


def _linear(module: str, inputs: int, outputs: int, role: Role, bias: bool, count: int) -> Linear:
    return Linear(module=module, inputs=inputs, outputs=outputs, role=role, bias=bias, count=count)


def _layer_norms(hidden: int, count: int) -> tuple[Tensor, ...]:
    return (
        Tensor(name="norm.weight", shape=(hidden,), count=count),
        Tensor(name="norm.bias", shape=(hidden,), count=count),
    )


def _ends(vocabulary: int, hidden: int, tied: bool) -> tuple[Tensor, ...]:
    embeddings = Tensor(name="embed_tokens.weight", shape=(vocabulary, hidden))
    if tied:
        return (embeddings,)
    return embeddings, Tensor(name="lm_head.weight", shape=(vocabulary, hidden))
