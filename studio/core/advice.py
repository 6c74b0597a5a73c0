"""Which method for this model on this machine, and why; presets; what makes a run smaller."""

from __future__ import annotations

from typing import Any

import msgspec

from studio.core import memory
from studio.core.facts import Machine, ModelFacts
from studio.core.memory import GIB, Verdict
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe

METHODS: tuple[Method, ...] = ("full", "lora", "qlora")
NAMES: dict[Method, str] = {"full": "Full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """Hyperparameters that go together. `training` and `lora` change a recipe's parts."""

    key: str
    name: str
    text: str
    training: dict[str, Any]
    lora: dict[str, Any]


PRESETS: tuple[Preset, ...] = (
    Preset(
        key="quick look",
        name="Quick look",
        text="One pass over the rows with a small adapter: enough to see whether the data teaches.",
        training={"epochs": 1.0, "batch_size": 16},
        lora={"rank": 8, "alpha": 16.0},
    ),
    Preset(
        key="balanced",
        name="Balanced",
        text="Three passes, rank 16: where most fine-tunes end up.",
        training={"epochs": 3.0, "batch_size": 16},
        lora={"rank": 16, "alpha": 32.0},
    ),
    Preset(
        key="thorough",
        name="Thorough",
        text="Up to six passes, rank 32; ends early and keeps the best when the held-out loss "
        "no longer falls.",
        training={"epochs": 6.0, "batch_size": 16, "early_stopping_patience": 3},
        lora={"rank": 32, "alpha": 64.0},
    ),
)


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A method, the reason in one sentence, and how each method would fit."""

    method: Method
    reason: str
    verdicts: dict[Method, Verdict]


def apply(preset: Preset, recipe: Recipe) -> Recipe:
    """The recipe with the preset's values; everything else stays."""
    early = {"early_stopping_patience": 0}
    return msgspec.structs.replace(
        recipe,
        training=msgspec.structs.replace(recipe.training, **(early | preset.training)),
        lora=msgspec.structs.replace(recipe.lora, **preset.lora),
    )


def recommend(
    model: ModelFacts, machine: Machine | None, recipe: Recipe | None = None
) -> Recommendation:
    """The method with the best quality that fits with room; LoRA where nothing is known.

    The machine's reserve counts as taken. `recipe` gives lengths and batch, else the defaults.
    """
    draft = recipe or Recipe(model=ModelPart(path=model.path), dataset=(DatasetPart(path=""),))
    estimates = {
        method: memory.estimate(
            msgspec.structs.replace(draft, method=method), model, machine, advise=False
        )
        for method in METHODS
    }
    verdicts = {method: estimates[method].verdict for method in METHODS}
    method, reason = _choose(verdicts, estimates, machine)
    return Recommendation(method=method, reason=reason, verdicts=verdicts)


def _choose(
    verdicts: dict[Method, Verdict],
    estimates: dict[Method, memory.Estimate],
    machine: Machine | None,
) -> tuple[Method, str]:
    if verdicts["lora"] == "unknown":
        return "lora", "LoRA is the usual choice; what it takes here isn't known."
    device = (estimates["lora"].devices or ("this machine",))[0]
    size = {method: f"about {estimates[method].upper_bytes / GIB:.1f} GB" for method in METHODS}
    if verdicts["lora"] == "fits":
        return "lora", (
            f"LoRA fits on {device} with room ({size['lora']} at most) and learns nearly as well "
            "as full fine-tuning."
        )
    if verdicts["qlora"] in ("fits", "tight"):
        return "qlora", (
            f"LoRA would take {size['lora']}, too close for {device}; in 4-bit the base leaves "
            f"{size['qlora']}."
        )
    if verdicts["lora"] == "tight":
        return "lora", f"LoRA just fits on {device} ({size['lora']} at most)."
    return "qlora", (
        f"Even QLoRA would take {size['qlora']}, more than {device} has free: choose a smaller "
        "model or shorter rows."
    )
