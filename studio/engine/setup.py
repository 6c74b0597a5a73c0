"""All that training and measuring need, made ready in one place."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from studio.core.facts import ModelFacts, Prepared
from studio.core.recipe import Recipe
from studio.engine import accelerations, attach, load, offload, precision, tasks
from studio.engine.control import Control
from studio.engine.data import Rows
from studio.engine.decided import Decided, decide, remember
from studio.engine.fast import attention
from studio.engine.job import Context
from studio.engine.tasks.causal_lm import CausalLM
from studio.library import models, runs
from studio.library.folders import JobFolder

_MIXED = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}


@dataclass(frozen=True)
class Setup:
    """A model that is ready to learn, its rows, and how this machine goes about it."""

    recipe: Recipe
    facts: ModelFacts
    model_folder: Path
    tokenizer: PreTrainedTokenizerBase
    model: nn.Module
    task: CausalLM
    accelerator: Accelerator
    train_rows: Rows
    eval_rows: Rows
    decided: Decided

    def autocast(self) -> AbstractContextManager[None]:
        """Inside of it matrix products are computed in the decided format."""
        context: AbstractContextManager[None] = self.accelerator.autocast()
        return context


def make(context: Context, control: Control) -> Setup:
    """Read the run's recipe and rows, load its model, put on what learns.

    Raises StudioError for anything about them that a person can mend, CancelledByUserError when
    that is heard meanwhile.
    """
    channel, folder = context.channel, context.folder
    channel.stage("Reading the recipe and the data")
    recipe = runs.recipe_of(folder.path)
    train_rows = Rows.open(folder.data / "train.arrow")
    eval_rows = Rows.open(folder.data / "eval.arrow")
    model_folder = models.resolve(context.home, recipe.model)
    facts = models.inspect(model_folder)
    device = precision.best_device()
    decided = decide(context, recipe, facts, train_rows)
    torch.set_num_threads(decided.threads)
    accelerations.settle(decided.accelerations)
    _seed(recipe.training.seed)

    control.listen()
    channel.stage("Loading the model")
    tokenizer = load.load_tokenizer(model_folder, _template(folder))
    base, decided = _load(recipe, model_folder, device, decided)
    accelerations.put_on(base, decided.accelerations)
    control.listen()
    name = facts.name or model_folder.name
    model = attach.make_trainable(base, recipe, name, "adapter" in decided.accelerations)
    if decided.gradient_checkpointing:
        attach.checkpoint_activations(model)

    accelerator = _accelerator(recipe, decided)
    with accelerator.autocast():
        task = tasks.of(recipe.task)(model, tokenizer, recipe.data.system_prompt)
        if task.split is not None:
            task.split.ahead = "head" in decided.accelerations
        decided = _packing(context, recipe, task, decided)
    if decided.offload_activations:
        task.keeping = offload.keeping(model)
    remember(folder, decided)
    return Setup(
        recipe,
        facts,
        model_folder,
        tokenizer,
        model,
        task,
        accelerator,
        train_rows,
        eval_rows,
        decided,
    )


def _template(folder: JobFolder) -> str:
    """The chat template that the run's rows were written with."""
    if not folder.manifest.is_file():
        return ""
    return msgspec.json.decode(folder.manifest.read_bytes(), type=Prepared).chat_template


def _load(
    recipe: Recipe, folder: Path, device: torch.device, decided: Decided
) -> tuple[PreTrainedModel, Decided]:
    """The base model, and what was decided less an attention that isn't for a model of its kind."""
    dtype = _weight_dtype(recipe, precision.NAMES[decided.dtype])
    kind, by_rows = decided.attention, decided.attention == attention.NAME

    def load_with(name: str) -> PreTrainedModel:
        return load.load_model(folder, dtype, bits=_bits(recipe), device=device, attention=name)

    try:
        base = load_with("" if by_rows else kind)
        kind = kind if not by_rows or attention.put_on(base) else ""
    except (ImportError, ValueError):
        if not kind or by_rows:
            raise
        base, kind = load_with(""), ""
    if kind == decided.attention:
        return base, decided
    packing = recipe.data.packing == "yes"
    return base, msgspec.structs.replace(decided, attention=kind, packing=packing)


def _packing(context: Context, recipe: Recipe, task: CausalLM, decided: Decided) -> Decided:
    if not decided.packing or task.keeps_packed_rows_apart():
        return decided
    context.channel.note(
        "This model's attention would mix packed rows; they are padded instead.", "warning"
    )
    return msgspec.structs.replace(decided, packing=False)


def _bits(recipe: Recipe) -> load.Bits:
    if recipe.method == "qlora":
        return 4
    return 8 if recipe.method == "lora" and recipe.training.base_precision == "8" else 16


def _weight_dtype(recipe: Recipe, compute: torch.dtype) -> torch.dtype:
    """Full fine-tuning learns in float32 and only computes in 16 bits, unless a 16-bit base is
    asked for: most of its updates are smaller than the last digit of a 16-bit weight."""
    if recipe.method == "full":
        pure = recipe.training.base_precision == "16" and compute != torch.float16
        return compute if pure else torch.float32
    if recipe.training.base_precision == "32":
        return torch.float32
    return compute


def _accelerator(recipe: Recipe, decided: Decided) -> Accelerator:
    """float16 gets its loss scaler with it; weights that learn in 16 bits need no autocast."""
    pure = recipe.method == "full" and recipe.training.base_precision == "16"
    mixed = "no" if pure and decided.dtype == "bfloat16" else _MIXED[decided.dtype]
    return Accelerator(cpu=decided.device == "cpu", mixed_precision=mixed)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
