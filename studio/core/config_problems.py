"""What is missing from a model's config.json or makes no sense in it, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import msgspec

from studio.core.problem import Problem
from studio.core.sizing.families import LIKE_LLAMA

# Each size by its usual name, and what GPT-2 and its kin call it.
_SIZES = {
    "hidden_size": ("n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "num_layers"),
    "num_attention_heads": ("n_head", "num_heads"),
    "vocab_size": (),
}
_WIDTH = ("intermediate_size", "n_inner", "ffn_hidden_size")
_FOUR_TIMES = frozenset({"gpt2", "falcon"})
"""Architectures whose feed-forward part is four times as wide as the rest unless said."""
_KNOWN = _FOUR_TIMES | {"gpt_neox"} | LIKE_LLAMA.keys()
_MORE = (
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "num_local_experts",
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "decoder_sparse_step",
)
_VISION = ("hidden_size", "intermediate_size", "num_hidden_layers", "image_size", "patch_size")
_SHARES = (
    "partial_rotary_factor",
    "rotary_pct",
    "attention_dropout",
    "hidden_dropout",
    "attn_pdrop",
    "resid_pdrop",
    "embd_pdrop",
)
_ORIGINAL = "Take it from the model's own config.json."
_MOST = 1 << 31


def looks_like_config(data: object) -> bool:
    """Whether plain data is a model's config.json."""
    names = {"model_type", "architectures", *_SIZES, *(each for n in _SIZES.values() for each in n)}
    return isinstance(data, dict) and not names.isdisjoint(data)


def problems(config: Mapping[str, Any]) -> list[Problem]:
    """Every problem of a config.json; of the text model's where it is one of several inside.

    An architecture that isn't known may call its sizes as it likes.
    """
    nested = config.get("text_config")
    if isinstance(nested, Mapping):  # leaves out what the architecture takes for granted
        return [*_kind(config), *_strange(nested, "text_config."), *_seeing(config)]
    strange = bool(_named(config)) and _named(config) not in _KNOWN
    missing = () if strange else _missing(config)
    return [*_kind(config), *_parts(config), *missing, *_strange(config)]


def _parts(config: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("text_config", "vision_config"):
        if config.get(name) is not None and not isinstance(config[name], Mapping):
            yield _no_sense(name, name, config[name], "a config of its own")


def _seeing(config: Mapping[str, Any]) -> Iterator[Problem]:
    """The config of what sees pictures beside the text model."""
    vision = config.get("vision_config")
    yield from _parts(config)
    for name in _VISION if isinstance(vision, Mapping) else ():
        value = vision.get(name) if isinstance(vision, Mapping) else None
        if value is not None and not _is_size(value):
            yield _no_sense(f"vision_config.{name}", name, value, "a whole number above 0")


def _no_sense(field: str, name: str, value: object, wanted: str) -> Problem:
    text = f"{name} is {_short(value)}; it has to be {wanted}."
    return Problem(field=field, text=text, fix=_ORIGINAL)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a huge number"
    return text if len(text) <= 40 else f"{text[:38]} …"


def _named(config: Mapping[str, Any]) -> str:
    kind = config.get("model_type")
    return kind if isinstance(kind, str) else ""


def _kind(config: Mapping[str, Any]) -> Iterator[Problem]:
    if not _named(config):
        yield Problem(
            field="model_type",
            text="The config doesn't say which architecture the model has.",
            fix="Add model_type, for example llama or qwen2.",
        )


def _missing(config: Mapping[str, Any]) -> Iterator[Problem]:
    needed = dict(_SIZES)
    if _named(config) not in _FOUR_TIMES:
        needed[_WIDTH[0]] = _WIDTH[1:]
    for name, others in needed.items():
        if all(config.get(each) is None for each in (name, *others)):
            yield Problem(
                field=name,
                text=f"The config has no {name}.",
                fix=f"Add {name}{f' (or {others[0]})' if others else ''}, a whole number above 0.",
            )


def _strange(config: Mapping[str, Any], where: str = "") -> Iterator[Problem]:
    every = {each for name, others in _SIZES.items() for each in (name, *others)}
    for name in sorted(every.union(_WIDTH, _MORE)):
        value = config.get(name)
        if value is not None and not _is_size(value):
            yield _no_sense(where + name, name, value, "a whole number above 0")
    window = config.get("sliding_window")
    if window is not None and window != 0 and not _is_size(window):
        wanted = "a whole number of tokens, or null"
        yield _no_sense(where + "sliding_window", "sliding_window", window, wanted)
    for name in _SHARES:
        value = config.get(name)
        if value is not None and not _is_share(value):
            yield _no_sense(where + name, name, value, "a number from 0 to 1")
    tied = config.get("tie_word_embeddings")
    if tied is not None and not isinstance(tied, bool):
        yield _no_sense(where + "tie_word_embeddings", "tie_word_embeddings", tied, "true or false")
    yield from (msgspec.structs.replace(one, field=where + one.field) for one in _unequal(config))


def _unequal(config: Mapping[str, Any]) -> Iterator[Problem]:
    hidden, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
    keys = _size(config, "num_key_value_heads")
    if hidden and heads and hidden % heads and config.get("head_dim") is None:
        yield Problem(
            field="num_attention_heads",
            text=f"{heads} heads don't divide a hidden size of {hidden}.",
            fix="Correct one of the two, or add head_dim.",
        )
    if heads and keys and heads % keys:
        yield Problem(
            field="num_key_value_heads",
            text=f"{keys} key and value heads don't divide {heads} heads.",
            fix="Correct one of the two.",
        )
    experts = max(_size(config, "num_local_experts"), _size(config, "num_experts"))
    chosen = _size(config, "num_experts_per_tok")
    if experts and chosen > experts:
        yield Problem(
            field="num_experts_per_tok",
            text=f"A token can't go to {chosen} of {experts} experts.",
            fix="Correct one of the two.",
        )
    kinds, layers = config.get("layer_types"), _size(config, "num_hidden_layers")
    if layers and isinstance(kinds, list) and len(kinds) != layers:
        yield Problem(
            field="layer_types",
            text=f"layer_types names {len(kinds)} layers, and there are {layers}.",
            fix="Correct one of the two.",
        )


def _size(config: Mapping[str, Any], name: str) -> int:
    """A size under any of its names; 0 where there is none that makes sense."""
    names = (name, *_SIZES.get(name, ()))
    found = (config.get(each) for each in names)
    return next((value for value in found if _is_size(value)), 0)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value <= _MOST
