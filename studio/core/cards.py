"""Cards that one may plan for without having them: facts from resources/cards."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from studio.core.facts import Gpu, Machine, Vendor

GIB = 1 << 30
DESKTOP_BYTES = GIB // 2
"""What a desktop takes of a card, as the settings' reserve is at first."""


class KnownCard(msgspec.Struct, frozen=True, kw_only=True):
    """One card as its maker sells it. `gigabytes` of 2^30 bytes; `gigabytes_per_second` of 10^9
    bytes is its memory's bandwidth, None where the source doesn't say. `source` is a web page."""

    name: str
    vendor: Vendor
    gigabytes: float
    architecture: str
    source: str
    compute_capability: tuple[int, int] | None = None
    gigabytes_per_second: float | None = None

    @property
    def memory_bytes(self) -> int:
        """All of its memory; a driver reports a little less."""
        return int(self.gigabytes * GIB)

    @property
    def bf16(self) -> bool:
        """Whether it computes in bfloat16: NVIDIA's from Ampere on, AMD's from RDNA 3, Intel's
        Arc and Apple's."""
        if self.vendor == "nvidia":
            return (self.compute_capability or (0, 0)) >= (8, 0)
        return self.architecture != "RDNA 2"


def of_size(gigabytes: float) -> KnownCard:
    """A card of which nothing is known but its memory: taken for an NVIDIA card that does bf16."""
    return KnownCard(
        name=f"a card with {gigabytes:g} GB",
        vendor="nvidia",
        gigabytes=gigabytes,
        architecture="",
        source="",
        compute_capability=(8, 0),
    )


def find(cards: Sequence[KnownCard], text: str) -> KnownCard | None:
    """The card meant by words like “4060 ti 16”: every word is in its name or is its gigabytes.

    Of several the one whose name has the fewest words more; of those the smaller card. None
    where nothing fits.
    """
    words = _words(text)
    fitting = [card for card in cards if words and words <= _words(card.name) | _sizes(card)]
    return min(fitting, key=lambda card: (_surplus(card, words), card.gigabytes), default=None)


def machine_with(card: KnownCard, machine: Machine | None = None) -> Machine:
    """This machine (or one of which nothing is known) with such a card alone, all of it free but
    for what a desktop takes."""
    gpu = Gpu(
        index=0,
        name=card.name,
        total_bytes=card.memory_bytes,
        used_bytes=0,
        free_bytes=card.memory_bytes,
        compute_capability=card.compute_capability or ((8, 0) if card.bf16 else (7, 5)),
        vendor=card.vendor,
    )
    reserve = machine.reserve_bytes if machine else DESKTOP_BYTES
    base = machine or Machine()
    return msgspec.structs.replace(
        base, gpus=(gpu,), card=0, idle_gpus=(), reserve_bytes=max(reserve, DESKTOP_BYTES)
    )


_GENERAL = {"gb", "nvidia", "geforce", "amd", "radeon", "intel", "gpu", "tesla"}


def _words(text: str) -> frozenset[str]:
    """Lower-case words, numbers apart from letters but for “A100” and its like."""
    plain = re.sub(r"(\d)\s*(gb|gib|g)\b", r"\1", text.lower())
    plain = re.sub(r"(\d{4})(ti|super|s)\b", r"\1 \2", re.sub(r"(rtx|gtx|rx)(\d)", r"\1 \2", plain))
    plain = re.sub(r"\bmobile\b", "laptop", plain)
    return frozenset(re.findall(r"[a-z0-9]+", plain)) - _GENERAL


def _sizes(card: KnownCard) -> frozenset[str]:
    return frozenset({f"{card.gigabytes:g}"})


def _surplus(card: KnownCard, words: frozenset[str]) -> int:
    return len(_words(card.name) - words - {"rtx", "gtx", "rx", f"{card.gigabytes:g}"})
