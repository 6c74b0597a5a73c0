"""All that training and measuring need, made ready in one place."""

from __future__ import annotations

import os
import random
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import nn
from transformers import PreTrainedTokenizerBase

from studio.core import memory as arithmetic
from studio.core.facts import ModelFacts
from studio.core.recipe import Recipe, learning_rate
from studio.engine import attach, load, memory, precision, tasks
from studio.engine.control import Control
from studio.engine.data import Rows
from studio.engine.job import Context
from studio.engine.tasks.causal_lm import CausalLM
from studio.library import models, runs
from studio.library.files import write_whole
from studio.library.folders import JobFolder

# Up to this many tokens a row, plain attention is faster on a processor than the fused one, whose
# backward pass is slow there: 1.2 to 1.3 times the tokens a second on rows of 60 to 256 tokens.
# Beyond, its scores take too much memory.
_SHORT_ROWS = 256
_MIXED = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine decided for a run; a resumed run takes it over where it still can.

    `evaluation_tokens` is what an evaluation's batch holds where memory was too short for
    `micro_batch_tokens`; `roll_backs` counts how often the learning rate was halved.
    """

    device: str
    dtype: str
    dtype_reason: str
    threads: int
    micro_batch_size: int
    micro_batch_tokens: int
    gradient_accumulation: int
    packing: bool
    gradient_checkpointing: bool
    learning_rate: float
    attention: str = ""
    evaluation_tokens: int = 0
    roll_backs: int = 0


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
    decided = _decide(context, recipe, facts, train_rows, device)
    torch.set_num_threads(decided.threads)
    _seed(recipe.training.seed)

    control.listen()
    channel.stage("Loading the model")
    tokenizer = load.load_tokenizer(model_folder)
    dtype = precision.NAMES[decided.dtype]
    base = load.load_model(
        model_folder,
        _weight_dtype(recipe, dtype),
        bits=_bits(recipe),
        device=device,
        attention=decided.attention,
    )
    control.listen()
    model = attach.make_trainable(base, recipe, facts.name or model_folder.name)
    if decided.gradient_checkpointing:
        attach.checkpoint_activations(model)

    accelerator = _accelerator(recipe, decided)
    with accelerator.autocast():
        task = tasks.of(recipe.task)(model, tokenizer)
        decided = _packing(context, recipe, task, decided)
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


def remember(folder: JobFolder, decided: Decided) -> None:
    """Write decided.json."""
    write_whole(folder.decided, msgspec.json.format(msgspec.json.encode(decided)))


def _decide(
    context: Context, recipe: Recipe, facts: ModelFacts, rows: Rows, device: torch.device
) -> Decided:
    before = decided_before(context.folder)
    if before is not None and before.device == device.type and before.threads <= _usable_cores():
        return before
    format_ = precision.decide(recipe.training.dtype, device)
    longest = max(1, rows.longest)
    asked = recipe.training.micro_batch_size
    tokens = asked * longest if asked else max(arithmetic.MICRO_BATCH_TOKENS, longest)
    size = min(recipe.training.batch_size, asked or tokens // longest)
    machine = memory.machine(context.home)
    return Decided(
        device=device.type,
        dtype=format_.name,
        dtype_reason=format_.reason,
        threads=_threads(),
        micro_batch_size=size,
        micro_batch_tokens=tokens,
        gradient_accumulation=-(-recipe.training.batch_size // size),
        packing=recipe.data.packing == "yes",
        gradient_checkpointing=arithmetic.checkpointing(recipe, facts, machine, rows.longest),
        learning_rate=before.learning_rate if before else learning_rate(recipe),
        attention=_attention(recipe, rows, device),
        roll_backs=before.roll_backs if before else 0,
    )


def _attention(recipe: Recipe, rows: Rows, device: torch.device) -> str:
    short = rows.longest <= _SHORT_ROWS and recipe.data.packing != "yes"
    return "eager" if short and device.type == "cpu" else ""


def decided_before(folder: JobFolder) -> Decided | None:
    """What decided.json says; None where there is none that can be read."""
    try:
        return msgspec.json.decode(folder.decided.read_bytes(), type=Decided)
    except (OSError, msgspec.MsgspecError):
        return None


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


def _threads() -> int:
    """torch's own choice where OMP_NUM_THREADS made it, else one a physical core."""
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    usable = _usable_cores()
    return min(usable, psutil.cpu_count(logical=False) or usable)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
