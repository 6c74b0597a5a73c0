"""Which method for this model on this machine, and why; presets."""

from __future__ import annotations

from typing import Any

import msgspec

from studio.core import memory
from studio.core.choices import FACTS, LARGE_SET_TOKENS
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import GIB, Verdict
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe
from studio.core.sizing.architectures import shapes_of

METHODS: tuple[Method, ...] = ("full", "lora", "qlora")
SHORT_ROWS = 512
"""Tokens; what fits with these and not with longer ones lacks room for the rows alone."""
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
    """A method, the reason in a sentence or two, how each method would fit, and where it stands
    that the reason is one ("" where it is arithmetic)."""

    method: Method
    reason: str
    verdicts: dict[Method, Verdict]
    source: str = ""


def apply(preset: Preset, recipe: Recipe) -> Recipe:
    """The recipe with the preset's values; everything else stays."""
    early = {"early_stopping_patience": 0}
    return msgspec.structs.replace(
        recipe,
        training=msgspec.structs.replace(recipe.training, **(early | preset.training)),
        lora=msgspec.structs.replace(recipe.lora, **preset.lora),
    )


def recommend(
    model: ModelFacts,
    machine: Machine | None,
    recipe: Recipe | None = None,
    dataset: DatasetReport | None = None,
) -> Recommendation:
    """The method with the best quality that fits with room; LoRA where nothing is known.

    A base that fits in 16 bits: LoRA, the simpler and faster one. One that doesn't, or leaves no
    room for rows as long as these: QLoRA. Full fine-tuning where it fits and the set holds more
    than an adapter does. The machine's reserve counts as taken. `recipe` gives lengths and batch,
    else the defaults.
    """
    draft = recipe or Recipe(model=ModelPart(path=model.path), dataset=(DatasetPart(path=""),))
    asked = _Asked(draft, model, machine, dataset)
    method, reason, fact = _choose(asked)
    return Recommendation(
        method=method,
        reason=reason,
        verdicts=asked.verdicts,
        source=FACTS[fact].source if fact else "",
    )


class _Asked:
    """What the three methods would take, and words for it."""

    def __init__(
        self,
        recipe: Recipe,
        model: ModelFacts,
        machine: Machine | None,
        dataset: DatasetReport | None,
    ) -> None:
        self.recipe, self.model, self.machine = recipe, model, machine
        self.estimates = {method: self.estimate(method) for method in METHODS}
        self.verdicts = {method: self.estimates[method].verdict for method in METHODS}
        self.device = (self.estimates["lora"].devices or ("this machine",))[0]
        self.learnt = dataset.trained_tokens if dataset else 0

    def estimate(self, method: Method, length: int = 0) -> memory.Estimate:
        """What a method takes, with the recipe's rows or shorter ones."""
        data = self.recipe.data
        if length:
            data = msgspec.structs.replace(data, max_length=min(length, data.max_length))
        recipe = msgspec.structs.replace(self.recipe, method=method, data=data)
        return memory.estimate(recipe, self.model, self.machine, advise=False)

    def smallest(self) -> memory.Estimate:
        """What QLoRA takes at least with rows of this length."""
        training = msgspec.structs.replace(
            self.recipe.training,
            micro_batch_size=1,
            gradient_checkpointing="yes",
            optimizer="adamw_8bit",
        )
        recipe = msgspec.structs.replace(self.recipe, method="qlora", training=training)
        return memory.estimate(recipe, self.model, self.machine, advise=False)

    def size(self, method: Method) -> str:
        """What it needs at most, in words."""
        return f"{self.estimates[method].needed_bytes / GIB:.1f} GB"

    def holds_more_than_an_adapter(self) -> bool:
        """Whether the set is large: more tokens to learn than the adapter has values.

        About one bit is to be learnt from a token, and an adapter holds about two for a value
        ("LoRA Without Regret", see choices); half of that is taken to be on the safe side.
        """
        shapes = shapes_of(self.model.config)
        if shapes is None or self.learnt < LARGE_SET_TOKENS:
            return False
        adapter = msgspec.structs.replace(self.recipe, method="lora")
        return self.learnt > memory.trainable(adapter, shapes)


def _choose(asked: _Asked) -> tuple[Method, str, str]:
    """The method, the reason, and the name of a fact behind it."""
    verdicts, device = asked.verdicts, asked.device
    if verdicts["lora"] == "unknown":
        return "lora", "LoRA is the usual choice; what it takes here isn't known.", ""
    if verdicts["full"] == "fits" and asked.holds_more_than_an_adapter():
        return (
            "full",
            f"{asked.learnt / 1e6:.0f} million tokens are more than an adapter holds, and all of "
            f"the model can learn on {device} ({asked.size('full')} at most): full fine-tuning "
            "may pay. LoRA would be faster.",
            "large set",
        )
    if verdicts["lora"] == "fits":
        return (
            "lora",
            f"The model fits on {device} in 16 bits with room ({asked.size('lora')} at most), so "
            "LoRA: simpler and faster than in 4 bits, and it learns nearly as well as full "
            "fine-tuning.",
            "target modules",
        )
    if verdicts["qlora"] in ("fits", "tight"):
        return "qlora", _why_four_bits(asked), "four bits"
    if verdicts["lora"] == "tight":
        return "lora", f"LoRA just fits on {device} ({asked.size('lora')} at most).", ""
    return "qlora", _too_large(asked), ""


def _too_large(asked: _Asked) -> str:
    even = f"Even QLoRA would take {asked.size('qlora')}, more than {asked.device} has free"
    if asked.smallest().verdict == "fits":
        return f"{even}; with smaller micro-batches and gradient checkpointing it fits."
    return f"{even}: choose a smaller model or shorter rows."


def _why_four_bits(asked: _Asked) -> str:
    length = asked.recipe.data.max_length
    if length > SHORT_ROWS and asked.estimate("lora", SHORT_ROWS).verdict == "fits":
        return (
            f"Rows of {length:,} tokens leave {asked.device} no room for the model in 16 bits "
            f"({asked.size('lora')}); in 4 bits, QLoRA, it takes {asked.size('qlora')} at most."
        )
    return (
        f"In 16 bits LoRA would take {asked.size('lora')}, too much for {asked.device}; in 4 bits, "
        f"QLoRA, it takes {asked.size('qlora')} at most."
    )
