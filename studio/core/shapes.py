"""Sizes of a language model from its config.json, for Llama-like architectures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

LLAMA_LIKE = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "phi3", "smollm3", "gemma", "gemma2", "granite"}
    | {"olmo", "olmo2", "ministral", "seed_oss", "hunyuan_v1_dense", "exaone4", "starcoder2"}
)
FUSED = frozenset({"phi3"})
GATELESS = frozenset({"starcoder2"})
TIED_BY_DEFAULT = frozenset({"gemma", "gemma2", "starcoder2"})


class Shapes(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of values and of things; `modules` is (inputs, outputs) of each linear layer of one
    decoder layer by its last name."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    modules: dict[str, tuple[int, int]]

    @property
    def linear(self) -> int:
        """Weights in the linear layers, lm_head aside."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.modules.values())

    @property
    def parameters(self) -> int:
        """All weights: linear layers, embeddings, lm_head unless tied, two norms a layer and the
        last. Biases and the norms inside attention are left out (well under 0.1 %)."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.linear + embeddings + (2 * self.layers + 1) * self.hidden

    def sides(self, targets: str | tuple[str, ...]) -> int:
        """Sum of inputs + outputs over the layers that an adapter targets."""
        wanted = self.modules if targets == "all-linear" else names(targets)
        return self.layers * sum(sum(self.modules.get(name, (0, 0))) for name in wanted)


def names(targets: str | tuple[str, ...]) -> tuple[str, ...]:
    """The last names of target modules given as a list, or as one name."""
    several = (targets,) if isinstance(targets, str) else targets
    return tuple(target.rsplit(".", 1)[-1] for target in several)


def shapes_of(config: Mapping[str, Any]) -> Shapes | None:
    """The shapes, or None for an architecture that isn't like Llama's or lacks a size."""
    kind = str(config.get("model_type", ""))
    if kind not in LLAMA_LIKE:
        return None
    sizes = [_size(config, key) for key in ("hidden_size", "intermediate_size", "vocab_size")]
    layers, heads = _size(config, "num_hidden_layers"), _size(config, "num_attention_heads")
    if not (all(sizes) and layers and heads):
        return None
    hidden, intermediate, vocabulary = sizes
    head_dim = _size(config, "head_dim") or hidden // heads
    kv_heads = _size(config, "num_key_value_heads") or heads
    return Shapes(
        hidden=hidden,
        intermediate=intermediate,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
        tied=bool(config.get("tie_word_embeddings", kind in TIED_BY_DEFAULT)),
        modules=_modules(kind, hidden, intermediate, heads * head_dim, kv_heads * head_dim),
    )


def _size(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _modules(
    kind: str, hidden: int, intermediate: int, query: int, key: int
) -> dict[str, tuple[int, int]]:
    if kind in FUSED:
        return {
            "qkv_proj": (hidden, query + 2 * key),
            "o_proj": (query, hidden),
            "gate_up_proj": (hidden, 2 * intermediate),
            "down_proj": (intermediate, hidden),
        }
    attention = {"q_proj": query, "k_proj": key, "v_proj": key}
    modules = {name: (hidden, outputs) for name, outputs in attention.items()}
    modules["o_proj"] = (query, hidden)
    if kind in GATELESS:
        return modules | {"c_fc": (hidden, intermediate), "c_proj": (intermediate, hidden)}
    feed = {"gate_proj": (hidden, intermediate), "up_proj": (hidden, intermediate)}
    return modules | feed | {"down_proj": (intermediate, hidden)}
