"""The panel's words and colours: verdicts, parts in drawing order, phases."""

from __future__ import annotations

from studio.core.part_words import PART_WORDS, PartWords

VERDICTS = {
    "fits": ("Fits", "ok"),
    "tight": ("Tight", "warn"),
    "too big": ("Won't fit", "err"),
    "unknown": ("", "plain"),
}
"""Text and tone of a verdict."""
COLORS = {
    "weights": "c1",
    "adapter": "c2",
    "gradients": "c3",
    "optimizer": "c4",
    "activations": "c5",
    "logits": "c6",
    "attention": "c8",
    "temporaries": "c9",
    "slack": "c7",
    "context": "c10",
}
"""Colour token of each part, in the order in which the bar draws them."""
PHASES = {
    "load": "while the model loads",
    "forward": "on the way forward",
    "backward": "on the way back",
    "optimizer": "in the optimizer's step",
    "evaluation": "during evaluation",
    "save": "while it saves",
}
OTHERS, RESERVE = "others", "reserve"


def words_of(part: str) -> PartWords:
    """What a part of the bar is called, what it is, and how to shrink it."""
    return PART_WORDS[part]
