"""Cards to plan for, as resources/cards/known.json has them."""

from __future__ import annotations

from functools import cache

import msgspec

from studio.core.cards import KnownCard
from studio.library import resources


class _File(msgspec.Struct):
    format: int
    cards: tuple[KnownCard, ...]


@cache
def known() -> tuple[KnownCard, ...]:
    """Every known card, the smallest first."""
    content = resources.path("cards", "known.json").read_bytes()
    found = msgspec.json.decode(content, type=_File).cards
    return tuple(sorted(found, key=lambda card: (card.gigabytes, card.name)))
