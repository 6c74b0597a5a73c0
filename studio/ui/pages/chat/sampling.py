"""How answers are drawn: temperature, nucleus, length, seed and a system message."""

from __future__ import annotations

import random

from studio.ui.widgets import Card, Field, LineEdit, NumberEdit, row

TEMPERATURE, TOP_P, LONGEST = 0.7, 0.95, 256


class Sampling(Card):
    """Values hold for the next message; a seed left empty is drawn anew for each."""

    def __init__(self) -> None:
        super().__init__(margin=14, spacing=10)
        self.temperature = NumberEdit("Temperature", maximum=5, step=0.1, empty=TEMPERATURE)
        self.top_p = NumberEdit("Top-p", minimum=0.01, maximum=1, step=0.05, empty=TOP_P)
        self.longest = NumberEdit(
            "Most tokens", whole=True, minimum=1, maximum=32_768, step=64, empty=LONGEST
        )
        self.seed = NumberEdit("Seed", whole=True, maximum=2**31 - 1, empty=-1)
        for edit, shown in (
            (self.temperature, TEMPERATURE),
            (self.top_p, TOP_P),
            (self.longest, LONGEST),
            (self.seed, "new each time"),
        ):
            edit.setPlaceholderText(str(shown))
        self.system = LineEdit("System message", placeholder="none, or the template's own")
        fields = row(
            Field("Temperature", self.temperature, "0 takes the likeliest."),
            Field("Top-p", self.top_p, "Share of likely words."),
            Field("Most tokens", self.longest, "Of one answer."),
            Field("Seed", self.seed, "The same for all sides."),
            spacing=14,
        )
        self.add(fields, Field("System message", self.system))

    def values(self) -> dict[str, float]:
        """What a request takes; a value that can't be read counts as its default."""
        seed = self.seed.number()
        drawn = seed is None or seed < 0
        return {
            "temperature": _or(self.temperature.number(), TEMPERATURE),
            "top_p": _or(self.top_p.number(), TOP_P),
            "max_new_tokens": int(_or(self.longest.number(), LONGEST)),
            "seed": random.randrange(2**31) if drawn else int(seed or 0),
        }


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
