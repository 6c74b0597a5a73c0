"""The recipe: all that decides a run, frozen, as it is written to recipe.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import yaml

VERSION = 3

Method = Literal["full", "lora", "qlora"]
Task = Literal["causal-lm"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
BasePrecision = Literal["auto", "16", "32", "8"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "paged_adamw", "adafactor"]
Scheduler = Literal["cosine", "linear", "constant"]
TrainOn = Literal["assistant", "last", "everything"]
AutoBool = Literal["auto", "yes", "no"]
OnTrouble = Literal["stop", "roll-back"]
Drop = Literal[
    "duplicate", "near-duplicate", "too-long", "cut-answer", "short-answer", "echo", "language",
    "contact",
]  # fmt: skip
Repair = Literal["trim", "mask-contact"]

Positive = Annotated[int, msgspec.Meta(ge=1)]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NaturalFloat = Annotated[float, msgspec.Meta(ge=0)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every part of a recipe is: frozen, and strict about its fields."""


class ModelPart(Part, frozen=True, kw_only=True):
    """A model: "starter", a folder, or a hub id with the revision it is pinned to."""

    path: str
    revision: str | None = None


class DatasetPart(Part, frozen=True, kw_only=True):
    """One dataset: "sample", a file or folder, or a hub id.

    `columns` maps a role (messages, prompt, completion, system, text, ...) to the
    column that plays it; empty means recognised by itself. A column may be a path into a
    nested one (“answers.text”) or a text with columns in it (“{title}: {body}”).

    `weight` is how often one pass over the data takes each of its rows: 1 is once, 2 twice;
    0.5 takes a half that the seed draws, 2.5 every row twice and a drawn half once more. A row
    is never drawn twice before all of them were. `limit` takes no more than so many rows (of
    the training files, and of those set aside): an even sample, always the same; 0 is all.
    """

    path: str
    columns: dict[str, str] = {}
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    weight: PositiveFloat = 1.0
    limit: Natural = 0


class LoraPart(Part, frozen=True, kw_only=True):
    """The adapter of the methods lora and qlora."""

    rank: Positive = 16
    alpha: PositiveFloat = 32.0
    dropout: Share = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


class DataPart(Part, frozen=True, kw_only=True):
    """How rows become tokens.

    `template` is the chat template: "" for the model's own (ChatML where it has none), the name of
    one of the studio's, or the path of a .jinja file. `system_prompt` is given to rows that have
    no system message.

    Rows with equal values in the column `group_by` never fall on both sides of the split. `drop`
    leaves rows out by what was found in them, the first of equal ones aside; `repair` changes
    rows on their way to the model: "trim" takes blanks off both ends of messages, "mask-contact"
    puts words like “[e-mail]” in place of contact data and keys. The file itself stays as it is.
    """

    max_length: Positive = 512
    train_on: TrainOn = "assistant"
    template: str = ""
    system_prompt: str = ""
    eval_share: Share = 0.1
    group_by: str = ""
    drop: tuple[Drop, ...] = ()
    repair: tuple[Repair, ...] = ()
    packing: AutoBool = "auto"


class TrainingPart(Part, frozen=True, kw_only=True):
    """How the tokens are learnt. `batch_size` counts the rows of one optimizer step.

    `offload_activations` keeps in system memory what a card's forward pass leaves for its backward
    pass. `optimizer_in_backward` updates each weight as soon as its gradient is there, so that
    there are never all of them: full fine-tuning alone, with a batch in one go and no clipping.

    `keep_checkpoints` is how many of the newest stay beside the best; `on_trouble` says what
    happens when training goes wrong (no number, a flat zero, exploding): end, or go back to the
    last good checkpoint with half the learning rate, twice at most.
    """

    epochs: PositiveFloat = 3.0
    max_steps: Natural = 0
    batch_size: Positive = 16
    micro_batch_size: Natural = 0
    learning_rate: NaturalFloat = 0.0
    scheduler: Scheduler = "cosine"
    warmup_share: Share = 0.05
    weight_decay: NaturalFloat = 0.0
    max_grad_norm: NaturalFloat = 1.0
    optimizer: Optimizer = "adamw"
    dtype: Dtype = "auto"
    base_precision: BasePrecision = "auto"
    gradient_checkpointing: AutoBool = "auto"
    offload_activations: bool = False
    optimizer_in_backward: bool = False
    eval_every: Natural = 0
    early_stopping_patience: Natural = 0
    keep_best: bool = True
    save_every_minutes: PositiveFloat = 5.0
    keep_checkpoints: Positive = 2
    on_trouble: OnTrouble = "stop"
    seed: Natural = 42


class Recipe(Part, frozen=True, kw_only=True):
    """One run, whole. Zero in a `Natural` setting means: decided by the studio."""

    version: Positive = VERSION
    name: str = ""
    task: Task = "causal-lm"
    model: ModelPart
    dataset: tuple[DatasetPart, ...]
    method: Method = "lora"
    lora: LoraPart = LoraPart()
    data: DataPart = DataPart()
    training: TrainingPart = TrainingPart()
    sample_prompts: tuple[str, ...] = ()


DEFAULT_LEARNING_RATE: dict[Method, float] = {"full": 2e-5, "lora": 2e-4, "qlora": 2e-4}


def learning_rate(recipe: Recipe) -> float:
    """The rate asked for, or the method's usual one where the recipe leaves it at 0."""
    return recipe.training.learning_rate or DEFAULT_LEARNING_RATE[recipe.method]


def short(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data without what equals the defaults, for people to read."""
    whole = msgspec.to_builtins(recipe)
    out: dict[str, Any] = {"version": whole["version"]}
    if recipe.name:
        out["name"] = recipe.name
    out["task"] = recipe.task
    out["model"] = _without_defaults(whole["model"], ModelPart(path=""))
    if set(out["model"]) == {"path"}:
        out["model"] = recipe.model.path
    parts = [_without_defaults(part, DatasetPart(path="")) for part in whole["dataset"]]
    plain = len(parts) == 1 and set(parts[0]) == {"path"}
    out["dataset"] = parts[0]["path"] if plain else parts
    out["method"] = recipe.method
    for key, default in (("lora", LoraPart()), ("data", DataPart()), ("training", TrainingPart())):
        if changed := _without_defaults(whole[key], default):
            out[key] = changed
    if recipe.sample_prompts:
        out["sample_prompts"] = list(recipe.sample_prompts)
    return out


def to_yaml(recipe: Recipe) -> str:
    """The recipe in its shortest form that reads back to the same recipe."""
    return yaml.safe_dump(short(recipe), sort_keys=False, allow_unicode=True)


def _without_defaults(values: dict[str, Any], default: Part) -> dict[str, Any]:
    plain = msgspec.to_builtins(default)
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if plain[key] != value
    }
