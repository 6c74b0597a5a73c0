"""Checks of a recipe against the machine, the model and the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from studio.core import disk, memory
from studio.core.calibration import Calibration, calibrated
from studio.core.checking_choices import check_choices
from studio.core.checking_data import check_data
from studio.core.checking_levers import check_levers
from studio.core.choices import BF16_CAPABILITY, FACTS, INT8_CAPABILITY, NF4_CAPABILITY
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import GIB
from studio.core.problem import Problem
from studio.core.recipe import Recipe
from studio.core.sizing.shapes import names


def check(
    recipe: Recipe,
    machine: Machine | None,
    model: ModelFacts | None,
    dataset: DatasetReport | None,
    kept: Sequence[Calibration] = (),
) -> list[Problem]:
    """Every problem at once; what isn't known (None) isn't judged. `kept` is what was measured on
    this machine."""
    problems = [*_training(recipe), *_adapter(recipe, machine)]
    if model is not None:
        problems += _model(recipe, model)
    problems += check_choices(recipe, machine, model, dataset)
    problems += check_data(recipe, model, dataset)
    problems += check_levers(recipe, machine, model, dataset)
    if machine is not None:
        problems += _machine(recipe, machine)
        problems += _room(recipe, machine, model, dataset, kept)
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(problems, key=lambda problem: order[problem.severity])


def _training(recipe: Recipe) -> Iterator[Problem]:
    training = recipe.training
    if training.micro_batch_size > training.batch_size:
        yield Problem(
            field="training.micro_batch_size",
            text=f"A micro-batch of {training.micro_batch_size} rows is larger than the batch of "
            f"{training.batch_size}.",
            fix=f"Set micro_batch_size to at most {training.batch_size}, or 0 for automatic.",
        )
    elif training.micro_batch_size and training.batch_size % training.micro_batch_size:
        yield Problem(
            field="training.micro_batch_size",
            text=f"A batch of {training.batch_size} rows can't be split evenly into micro-batches "
            f"of {training.micro_batch_size}.",
            fix="Choose a divisor of batch_size, or 0 for automatic.",
            severity="warning",
        )
    if training.early_stopping_patience and not recipe.data.eval_share:
        yield Problem(
            field="training.early_stopping_patience",
            text="Early stopping watches the held-out loss, and no rows are held out.",
            fix="Set data.eval_share to 0.1, or early_stopping_patience to 0.",
        )


def _adapter(recipe: Recipe, machine: Machine | None) -> Iterator[Problem]:
    training, lora = recipe.training, recipe.lora
    if recipe.method == "full":
        if training.base_precision == "8":
            yield Problem(
                field="training.base_precision",
                text="8-bit weights can't be trained; they only carry an adapter.",
                fix="Set method to lora, or base_precision to auto.",
            )
        return
    if recipe.method == "qlora" and training.base_precision != "auto":
        yield Problem(
            field="training.base_precision",
            text="QLoRA holds the base in 4 bits, so base_precision says nothing here.",
            fix="Set base_precision to auto, or method to lora.",
            severity="warning",
        )
    if lora.dropout and machine is not None and not machine.gpus:
        yield Problem(
            field="lora.dropout",
            text="On a CPU, adapter dropout makes training markedly slower.",
            fix="Set dropout to 0 unless the run overfits.",
            severity="info",
        )


def _model(recipe: Recipe, model: ModelFacts) -> Iterator[Problem]:
    yield from (msgspec.structs.replace(problem, field="model") for problem in model.problems)
    if recipe.method != "full":
        yield from _targets(recipe, model)


def _targets(recipe: Recipe, model: ModelFacts) -> Iterator[Problem]:
    targets = recipe.lora.target_modules
    if targets == "all-linear" or not model.linear_modules:
        return
    if not targets:
        yield Problem(
            field="lora.target_modules",
            text="No module is targeted, so nothing would learn.",
            fix=f"Set it to all-linear, or choose from {', '.join(model.linear_modules)}.",
        )
    strange = [name for name in names(targets) if name not in model.linear_modules]
    if strange:
        yield Problem(
            field="lora.target_modules",
            text=f"The model has no linear module named {', '.join(strange)}.",
            fix=f"Choose from {', '.join(model.linear_modules)}, or set it to all-linear.",
        )


def _machine(recipe: Recipe, machine: Machine) -> Iterator[Problem]:
    training = recipe.training
    if not machine.gpus:
        yield from _cpu(recipe, machine)
        return
    gpu = machine.gpu
    card, capability = (gpu.name, gpu.compute_capability) if gpu else ("", None)
    if capability is None:
        return
    if training.dtype == "bfloat16" and capability < BF16_CAPABILITY:
        yield Problem(
            field="training.dtype",
            text=f"{card} has no bf16 units; bfloat16 would be slow there.",
            fix="Set dtype to auto or float16.",
            severity="warning",
            source=FACTS["bf16"].source,
        )
    needed = NF4_CAPABILITY if recipe.method == "qlora" else INT8_CAPABILITY
    quantized = recipe.method == "qlora" or training.base_precision == "8"
    if quantized and capability < needed:
        yield Problem(
            field="method" if recipe.method == "qlora" else "training.base_precision",
            text=f"{card} is too old for a quantized base (compute capability "
            f"{capability[0]}.{capability[1]}, needed {needed[0]}.{needed[1]}).",
            fix="Set method to lora and base_precision to auto.",
            source=FACTS["quantized base"].source,
        )


def _cpu(recipe: Recipe, machine: Machine) -> Iterator[Problem]:
    training = recipe.training
    if training.dtype == "bfloat16" and not machine.bf16_cpu:
        yield Problem(
            field="training.dtype",
            text="This processor has no bf16 instructions; bfloat16 would be slow here.",
            fix="Set dtype to auto or float32.",
            severity="warning",
        )
    if training.dtype == "float16":
        yield Problem(
            field="training.dtype",
            text="float16 is for graphics cards; on a CPU it is slow and gains nothing.",
            fix="Set dtype to auto.",
            severity="warning",
        )
    if training.optimizer.startswith("paged"):
        plain = training.optimizer.removeprefix("paged_")
        yield Problem(
            field="training.optimizer",
            text="Without a graphics card there is nothing to page from: the paged optimizer "
            f"works as {plain} here.",
            fix=f"Set optimizer to {plain}; nothing changes on this machine.",
            severity="info",
            source=FACTS["paged optimizer"].source,
        )


def _room(
    recipe: Recipe,
    machine: Machine,
    model: ModelFacts | None,
    dataset: DatasetReport | None,
    kept: Sequence[Calibration],
) -> Iterator[Problem]:
    longest = dataset.max_tokens if dataset else 0
    estimate = calibrated(recipe, model, machine, longest, kept=kept)
    if estimate.verdict in ("too big", "tight"):
        yield _memory(estimate, machine)
    if model is not None and machine.disk_free_bytes:
        yield from _disk(recipe, machine, model, dataset)


def _disk(
    recipe: Recipe, machine: Machine, model: ModelFacts, dataset: DatasetReport | None
) -> Iterator[Problem]:
    tokens, free = dataset.tokens if dataset else 0, machine.disk_free_bytes
    need = disk.needed(recipe, model, machine, tokens)
    if need is None or need.total_bytes <= free:
        return
    fewer = msgspec.structs.replace(recipe.training, keep_checkpoints=1)
    least = disk.needed(msgspec.structs.replace(recipe, training=fewer), model, machine, tokens)
    helps = least is not None and least.total_bytes <= free
    yield Problem(
        field="training.keep_checkpoints" if helps else "method",
        text=f"The run takes up to {disk.size(need.total_bytes)} of disk (an estimate): "
        f"{disk.size(need.checkpoint_bytes)} a checkpoint, "
        f"{recipe.training.keep_checkpoints + 1} of them while one is written; then the best "
        f"weights, the result, the data and {disk.size(disk.SPARE_BYTES)} for logs. "
        f"{disk.size(free)} are free.",
        fix="Set keep_checkpoints to 1, or free disk space."
        if helps
        else "Free disk space, choose another home folder, or a method that learns fewer weights.",
    )


def _memory(estimate: memory.Estimate, machine: Machine) -> Problem:
    total = machine.gpu.total_bytes if machine.gpu else machine.ram_total_bytes
    kind = "VRAM" if machine.gpus else "RAM"
    # as much below what is expected as the bound lies above it
    hopeless = 2 * estimate.expected_bytes - estimate.upper_bytes > total > 0
    tight = estimate.verdict == "tight"
    return Problem(
        field="method",
        text=f"The run {'just fits' if tight else 'does not fit'}: estimated "
        f"{estimate.expected_bytes / GIB:.1f} GB, at most {estimate.needed_bytes / GIB:.1f}, and "
        f"{estimate.available_bytes / GIB:.1f} GB of {kind} are free.",
        fix=estimate.advice[0] if estimate.advice else "Close other programs.",
        severity="error" if hopeless else "warning",
    )
