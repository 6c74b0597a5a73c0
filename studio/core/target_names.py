"""Short names of the layers that an adapter is put on, in the model's own words."""

from __future__ import annotations

from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.core.sizing.shapes import Shapes

ALL = "all-linear"
_FUSED = ("qkv_proj", "query_key_value", "c_attn", "Wqkv")
_SHORT: dict[str, tuple[str, ...]] = {
    "q": ("q_proj", *_FUSED),
    "k": ("k_proj", *_FUSED),
    "v": ("v_proj", *_FUSED),
    "o": ("o_proj", "dense", "out_proj", "c_proj"),
    "gate": ("gate_proj", "gate_up_proj"),
    "up": ("up_proj", "gate_up_proj", "fc1", "c_fc", "dense_h_to_4h"),
    "down": ("down_proj", "fc2", "dense_4h_to_h", "c_proj"),
}
_GROUPS = {
    "qkv": ("q", "k", "v"),
    "attn": ("q", "k", "v", "o"),
    "attention": ("q", "k", "v", "o"),
    "mlp": ("gate", "up", "down"),
}
_ALL_WORDS = frozenset({ALL, "all_linear", "all", "linear"})
_HEADS = {"lm_head": "lm_head", "head": "lm_head", "embed_out": "embed_out"}
_EMBEDDINGS = frozenset({"embed", "embed_tokens", "embeddings", "wte"})


def modules(words: str, shapes: Shapes | None) -> str | tuple[str, ...]:
    """The target modules that words like “q,v” or “all-linear” mean for a model.

    Words are taken as they are where nothing is known of the model. Raises StudioError, with every
    word that means nothing here as a problem.
    """
    asked = [word.strip() for word in words.split(",") if word.strip()]
    if asked and {word.lower() for word in asked} <= _ALL_WORDS:
        return ALL
    if shapes is None:
        return tuple(asked)
    there = {one.module for one in shapes.linears}
    found, wrong = list[str](), list[str]()
    for word in asked:
        meant = _meant(word, there)
        found += meant
        wrong += [] if meant else [word]
    if wrong or not found:
        raise _unknown(wrong, there)
    return tuple(dict.fromkeys(found))


def _meant(word: str, there: set[str]) -> list[str]:
    """The modules that a word means, in the order of the short names."""
    last = word.rsplit(".", 1)[-1].lower()
    if own := [name for name in there if name.lower() == last]:
        return own
    if head := _HEADS.get(word.lower()):
        return [head]
    short = _GROUPS.get(word.lower(), (word.lower(),))
    return [name for each in short for name in _SHORT.get(each, ()) if name in there]


def _unknown(wrong: list[str], there: set[str]) -> StudioError:
    fix = f"Choose from {', '.join(sorted(there))}, short names like q, k, v, o, mlp, or {ALL}."
    found = [Problem(field="targets", text=_text(word), fix=fix) for word in wrong or [""]]
    return StudioError("No such layers", found[0].text, fix, found)


def _text(word: str) -> str:
    if not word:
        return "No layer is targeted, so nothing would learn."
    if word.lower() in _EMBEDDINGS:
        return "Embeddings are no linear layer; an adapter can't be put on them here."
    return f"The model has no linear layers named {word}."
