"""How answers are drawn, in how many bits the base is held, and the system message."""

from __future__ import annotations

import random
from collections.abc import Mapping

from PySide6.QtCore import Signal

from studio.ui.widgets import Card, ComboBox, Field, NumberEdit, grid, label
from studio.ui.widgets.fitting_edit import FittingEdit

TEMPERATURE, TOP_P, TOP_K, PENALTY, LONGEST = 0.7, 0.95, 0, 1.0, 512
_BITS = (("auto", "As it fits"), ("16", "16 bit"), ("4", "4 bit (NF4)"))


class Sampling(Card):
    """Values hold for the next message; a seed left empty is drawn anew for each."""

    bits_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__(margin=14, spacing=10)
        self.temperature = NumberEdit("Temperature", maximum=5, step=0.1, empty=TEMPERATURE)
        self.top_p = NumberEdit("Top-p", minimum=0.01, maximum=1, step=0.05, empty=TOP_P)
        self.top_k = NumberEdit("Top-k", whole=True, maximum=100_000, step=10, empty=TOP_K)
        self.penalty = NumberEdit(
            "Repetition penalty", minimum=0.5, maximum=3, step=0.05, empty=PENALTY
        )
        self.longest = NumberEdit(
            "Most tokens", whole=True, minimum=1, maximum=32_768, step=64, empty=LONGEST
        )
        self.seed = NumberEdit("Seed", whole=True, maximum=2**31 - 1, empty=-1)
        self.bits = ComboBox("Base in", _BITS)
        self.bits.chosen.connect(self.bits_chosen)
        self.why = label("", "mute", wrap=True)
        self.why.hide()
        for edit, shown in (
            (self.temperature, TEMPERATURE),
            (self.top_p, TOP_P),
            (self.top_k, "off"),
            (self.penalty, "off"),
            (self.longest, LONGEST),
            (self.seed, "random"),
        ):
            edit.setPlaceholderText(str(shown))
        self.system = FittingEdit("System message", least=1, most=5)
        self.system.setPlaceholderText("None, or the template's own")
        fields = grid(
            7,
            Field("Temperature", self.temperature, "0: the likeliest"),
            Field("Top-p", self.top_p, "Share kept"),
            Field("Top-k", self.top_k, "Tokens kept"),
            Field("Repetition", self.penalty, "Above 1: less"),
            Field("Most tokens", self.longest, "Of an answer"),
            Field("Seed", self.seed, "Of all sides"),
            Field("Base in", self.bits, "16 or 4 bits"),
            spacing=10,
        )
        self.add(fields, self.why, Field("System message", self.system))

    def values(self) -> dict[str, float]:
        """What a request takes; a value that can't be read counts as its default."""
        seed = self.seed.number()
        drawn = seed is None or seed < 0
        return {
            "temperature": _or(self.temperature.number(), TEMPERATURE),
            "top_p": _or(self.top_p.number(), TOP_P),
            "top_k": int(_or(self.top_k.number(), TOP_K)),
            "repetition_penalty": _or(self.penalty.number(), PENALTY),
            "max_new_tokens": int(_or(self.longest.number(), LONGEST)),
            "seed": random.randrange(2**31) if drawn else int(seed or 0),
        }

    def chosen(self) -> dict[str, float]:
        """The values to keep with a conversation: a seed only where the user typed one."""
        values = self.values()
        seed = self.seed.number()
        return values | {"seed": -1 if seed is None else seed}

    def show_values(self, values: Mapping[str, float], system: str) -> None:
        """Show what a conversation was left with."""
        for edit, name, default in (
            (self.temperature, "temperature", TEMPERATURE),
            (self.top_p, "top_p", TOP_P),
            (self.top_k, "top_k", TOP_K),
            (self.penalty, "repetition_penalty", PENALTY),
            (self.longest, "max_new_tokens", LONGEST),
            (self.seed, "seed", -1),
        ):
            edit.set_number(values.get(name, default))
        self.system.setPlainText(system)

    def say_why(self, text: str) -> None:
        """In what the base is held, and why."""
        self.why.setText(text)
        self.why.setVisible(bool(text))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
