"""A real training step of the engine, its tensors counted, beside what the arithmetic says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

from studio.core.facts import Machine
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    LoraPart,
    ModelPart,
    Recipe,
    TrainingPart,
)
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.phases import phases
from studio.core.sizing.plan import Plan, plan_of
from studio.engine import offload, setup
from studio.engine.control import Control
from studio.engine.learner import Learner
from studio.engine.setup import Setup
from studio.engine.tasks.causal_lm import Batch
from studio.library import runs
from studio.library.folders import Home
from tests.engine.making import context_of, write_rows
from tests.support import random_models
from tests.support.tensor_peak import TensorPeak

PROCESSOR = Machine(cpu="a processor", cores=2, bf16_cpu=True)


@dataclass(frozen=True)
class Case:
    """One configuration. `attention` and `loss` are "" where the engine decides; a "full"
    loss is of the model's own logits, a "stock" one transformers' own, and `stock` puts peft's
    layers in place of the studio's. What is kept of at least `offload` bytes goes away as if to
    another memory (0: nothing does); `early` updates weights in the backward pass."""

    kind: str
    method: str = "lora"
    dtype: str = "bfloat16"
    rows: int = 4
    length: int = 256
    steps: int = 1
    checkpointing: str = "no"
    attention: str = ""
    loss: str = ""
    targets: str | tuple[str, ...] = "all-linear"
    dropout: float = 0.0
    optimizer: str = "adamw"
    base: str = "auto"
    packing: str = "no"
    learnt: float = 1.0
    stock: bool = False
    offload: int = 0
    early: bool = False
    changes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [self.kind, self.method, self.dtype, f"{self.rows}x{self.length}"]
        words += [f"{self.steps} micro-batches"] if self.steps > 1 else []
        words += ["checkpointing"] if self.checkpointing == "yes" else []
        words += ["packed"] if self.packing == "yes" else []
        words += ["peft's layers"] if self.stock else []
        words += [f"dropout {self.dropout}"] if self.dropout else []
        words += [f"learnt {self.learnt}"] if self.learnt < 1 else []
        words += [self.attention, f"{self.loss} logits" if self.loss else ""]
        words += [f"offloaded from {self.offload}"] if self.offload else []
        words += ["updated early"] if self.early else []
        words += [self.optimizer] if self.optimizer != "adamw" else []
        words += [f"base {self.base}"] if self.base != "auto" else []
        words += ["+".join(self.targets)] if isinstance(self.targets, tuple) else []
        words += [f"{name} {value}" for name, value in self.changes.items()]
        return ", ".join(word for word in words if word)


@dataclass(frozen=True)
class Result:
    """Bytes: the peak of a step by the arithmetic and in truth, and what was held before it."""

    case: Case
    predicted: int
    true: int
    held: int

    @property
    def error(self) -> float:
        """How far the arithmetic is off, as a share; below 0 it says too little."""
        return self.predicted / self.true - 1


class Bench:
    """Models in a folder, each built once, and runs of them."""

    def __init__(self, folder: Path, tokenizer: Path) -> None:
        self._folder, self._tokenizer = folder, tokenizer
        self._home = Home(folder / "home").make()
        self._models: dict[str, Path] = {}

    def measure(self, case: Case, patch: pytest.MonkeyPatch) -> Result:
        """Two steps of the case; the second, with all optimizer states there, is what counts."""
        if case.stock:
            patch.setattr("studio.engine.fast.adapter.kinds", lambda model: {})
        if case.offload:
            patch.setattr(offload, "to_system", lambda values: values.numpy().copy())
            patch.setattr(offload, "to_device", lambda kept, device: torch.tensor(kept))
        ready, learner = self._ready(case)
        rows = [ready.train_rows[place] for place in range(len(ready.train_rows))]
        counted = TensorPeak()
        with counted:
            counted.hold(_held(ready))
            learner.step(rows)
            held = counted.now
            counted.mark("second")
            learner.step(rows)
        plan = planned(case, ready)
        shapes = shapes_of(ready.facts.config)
        assert shapes is not None
        found = phases(shapes, plan)
        step = (found["forward"], found["backward"], found["optimizer"])
        predicted = max(sum(parts.values()) for parts in step)
        return Result(case, predicted, counted.peaks["second"], held)

    def _ready(self, case: Case) -> tuple[Setup, Learner]:
        AcceleratorState._reset_state(reset_partial_state=True)
        recipe = recipe_of(case, self._model(case))
        folder = runs.create(self._home, recipe)
        write_rows(folder / "data" / "train.arrow", list(_rows(case)))
        context = context_of(self._home, folder)
        control = Control(context.channel)
        ready = setup.make(context, control)
        if case.attention:
            model: Any = ready.task.model
            base = model.get_base_model() if hasattr(model, "peft_config") else model
            base.set_attn_implementation(case.attention)
            ready.task.by_rows = False
        if case.loss:
            ready.task.split = None
        if case.loss == "stock":
            ready.task.loss_sum = _StockLoss(ready.task.model)  # type: ignore[method-assign]
        if case.offload:
            ready.task.keeping = offload.keeping(ready.model, case.offload, everywhere=True)
        return ready, Learner(context, ready, 4, control)

    def _model(self, case: Case) -> Path:
        key = f"{case.kind} {sorted(case.changes.items())}"
        if key not in self._models:
            folder = self._folder / f"model {len(self._models)}"
            self._models[key] = random_models.build(
                folder, case.kind, self._tokenizer, **case.changes
            )
        return self._models[key]


def recipe_of(case: Case, model: Path) -> Recipe:
    """The case as a user would write it."""
    settings: dict[str, Any] = {
        "dtype": case.dtype,
        "batch_size": case.rows * case.steps,
        "micro_batch_size": case.rows,
        "learning_rate": 1e-4,
        "gradient_checkpointing": case.checkpointing,
        "optimizer": case.optimizer,
        "base_precision": case.base,
        "optimizer_in_backward": case.early,
        "max_grad_norm": 0.0 if case.early else 1.0,
    }
    return Recipe(
        model=ModelPart(path=str(model)),
        dataset=(DatasetPart(path="made.jsonl"),),
        method=case.method,  # type: ignore[arg-type]
        lora=LoraPart(rank=8, alpha=16.0, dropout=case.dropout, target_modules=case.targets),
        data=DataPart(max_length=case.length, packing=case.packing),  # type: ignore[arg-type]
        training=TrainingPart(**settings),
    )


def planned(case: Case, ready: Setup) -> Plan:
    """The arithmetic's own plan, with what the case forces upon the engine."""
    wanted = case.checkpointing == "yes"
    plan = plan_of(ready.recipe, PROCESSOR, case.length, wanted)
    changes: dict[str, Any] = {
        "learnt": _learnt(case),
        "peft": case.stock,
        "offload": case.offload,
    }
    if case.attention:
        changes["attention"] = case.attention
    if case.loss:
        changes["logits"] = "full"
    return msgspec.structs.replace(plan, **changes)


class _StockLoss:
    """transformers' own loss, and its output kept as its trainer does."""

    def __init__(self, model: Any) -> None:
        self._model, self._output = model, None

    def __call__(self, batch: Batch) -> torch.Tensor:
        self._output = None
        self._output = self._model(input_ids=batch.input_ids, labels=batch.labels, use_cache=False)
        loss: torch.Tensor = self._output.loss * batch.trained  # type: ignore[attr-defined]
        return loss


def _rows(case: Case) -> Iterator[dict[str, list[int]]]:
    random = np.random.default_rng(0)
    quiet = case.length - round(case.length * case.learnt)
    for _ in range(case.rows * case.steps):
        ids = random.integers(5, 500, case.length).tolist()
        yield {"input_ids": ids, "labels": [-100] * quiet + ids[quiet:]}


def _learnt(case: Case) -> int:
    """Trained tokens of a micro-batch; the first of a row is never predicted."""
    return case.rows * min(round(case.length * case.learnt), case.length - 1)


def _held(ready: Setup) -> Iterator[torch.Tensor]:
    """What is there before the first step: weights, buffers, constants of quantized weights."""
    yield from ready.model.parameters()
    yield from ready.model.buffers()
    for module in ready.model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        nested = getattr(state, "state2", None)
        for one in (state, nested):
            for name in ("absmax", "code"):
                constant = getattr(one, name, None)
                if isinstance(constant, torch.Tensor):
                    yield constant
