"""The shapes of a model from its config.json alone, for the architectures that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from studio.core.sizing.families import LIKE_LLAMA
from studio.core.sizing.fields import Fields, MissingError
from studio.core.sizing.llama_like import LlamaLike
from studio.core.sizing.others import falcon, gpt2, gpt_neox
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.towers import siglip

NESTED = {"gemma3": "gemma3_text"}
"""Models of text and pictures whose text model is known: its model_type."""

_OTHERS: dict[str, Callable[[Mapping[str, Any]], Shapes]] = {
    "falcon": falcon,
    "gpt2": gpt2,
    "gpt_neox": gpt_neox,
}


def shapes_of(config: Mapping[str, Any]) -> Shapes | None:
    """The shapes; None for an architecture that isn't known or whose config lacks a size.

    What config.json leaves out is taken as transformers takes it.
    """
    try:
        return _shapes(msgspec.json.encode(config))
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=512)
def _shapes(encoded: bytes) -> Shapes | None:
    config: dict[str, Any] = msgspec.json.decode(encoded)
    kind = str(config.get("model_type", ""))
    text = config.get("text_config")
    whole, nested = config, kind in NESTED
    if nested:
        kind, config = NESTED[kind], text if isinstance(text, dict) else {}
    try:
        if nested:
            return _with_tower(kind, config, whole)
        if traits := LIKE_LLAMA.get(kind):
            return LlamaLike(kind, Fields(config, traits.defaults), traits).shapes()
        other = _OTHERS.get(kind)
        return other(config) if other else None
    except (MissingError, ZeroDivisionError):
        return None


def _with_tower(kind: str, text: dict[str, Any], whole: dict[str, Any]) -> Shapes:
    """A text model and what sees pictures beside it, which transformers loads as well."""
    traits, vision = LIKE_LLAMA[kind], whole.get("vision_config")
    shapes = LlamaLike(kind, Fields(text, traits.defaults), traits).shapes()
    tower = siglip(vision if isinstance(vision, dict) else {}, shapes.hidden)
    return msgspec.structs.replace(shapes, tower=tower)
