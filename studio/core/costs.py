"""What a run takes besides memory on its device: time, disk, system memory, download.

Time only where this machine was measured; the rest is arithmetic.
"""

from __future__ import annotations

import math

import msgspec

from studio.core import disk, work
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.recipe import Recipe
from studio.core.sizing.activations import offloaded_bytes
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.plan import Plan, plan_of
from studio.core.sizing.shapes import Shapes
from studio.core.speed import Speed, spread

PROCESS_BYTES = 500 << 20
"""An engine with its libraries: measured 390 MiB after the imports, and thread pools on top."""
EVALUATIONS = 5
"""Looks at the held-out rows where the recipe doesn't say how many."""
_STORED = {"F32": 4.0, "float32": 4.0}
_HALF = 2.0


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and bytes; None where they can't be known.

    `total_seconds` is of all steps and evaluations, once the model is loaded; `low_seconds` and
    `high_seconds` are what it should lie between. `checkpoints_bytes` is the most that checkpoints
    take at any moment, `disk_bytes` the most that the whole run does. `merged_bytes` and
    `exports_bytes` (by kind of GGUF) are of a model made from it later. `ram_load_bytes` and
    `ram_merge_bytes` are system memory for loading and for merging, `ram_offload_bytes` for
    training where activations are kept there, `download_bytes` what has to be fetched first.
    """

    steps: int | None = None
    step_seconds: float | None = None
    total_seconds: float | None = None
    low_seconds: float | None = None
    high_seconds: float | None = None
    checkpoint_bytes: int | None = None
    checkpoints_bytes: int | None = None
    adapter_bytes: int | None = None
    merged_bytes: int | None = None
    exports_bytes: dict[str, int] = {}
    disk_bytes: int | None = None
    ram_load_bytes: int | None = None
    ram_merge_bytes: int | None = None
    ram_offload_bytes: int | None = None
    download_bytes: int | None = None


def costs(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None = None,
    dataset: DatasetReport | None = None,
    speed: Speed | None = None,
    *,
    checkpointing: bool = False,
) -> Costs:
    """What the run takes; everything None of an unknown architecture but the download.

    `checkpointing`: whether activations are recomputed, which takes time.
    """
    if model is None:
        return Costs()
    download = download_bytes(model)
    shapes = shapes_of(model.config)
    if shapes is None:
        return Costs(download_bytes=download)
    longest = dataset.max_tokens if dataset else 0
    plan = plan_of(recipe, machine, longest, checkpointing)
    found = _sizes(recipe, shapes, plan, model, machine, dataset)
    found = msgspec.structs.replace(found, download_bytes=download)
    if dataset is None or not dataset.tokens:
        return found
    steps = steps_of(recipe, dataset)
    found = msgspec.structs.replace(found, steps=steps)
    if speed is None or not speed.flops:
        return found
    return _timed(found, recipe, shapes, plan, dataset, speed)


def steps_of(recipe: Recipe, dataset: DatasetReport) -> int:
    """Optimizer steps of the whole run."""
    training = recipe.training
    per_epoch = math.ceil(_learnt_rows(recipe, dataset) / training.batch_size)
    return training.max_steps or max(1, math.ceil(training.epochs * per_epoch))


def rows_of(dataset: DatasetReport, longest: int) -> work.Rows:
    """One row of this dataset, on average."""
    count = max(1, dataset.kept_rows or dataset.usable_rows or dataset.rows)
    mean = dataset.mean_tokens or dataset.tokens / count
    share = dataset.trained_share or dataset.trained_tokens / max(1, dataset.tokens)
    return work.Rows(tokens=mean, trained=mean * share, squares=_square(dataset, mean, longest))


def download_bytes(model: ModelFacts) -> int | None:
    """What has to be fetched: nothing of a model that is here, else its weights as stored."""
    if model.digest:
        return 0
    if model.tensor_bytes:
        return model.tensor_bytes
    if model.parameters:
        return round(model.parameters * _STORED.get(model.dtype, _HALF))
    return None


def ram_to_offload(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None,
    longest: int,
    checkpointing: bool,
) -> int:
    """System memory while it trains, where activations are kept there; else 0."""
    shapes = shapes_of(model.config) if model else None
    if shapes is None:
        return 0
    return _ram_to_offload(shapes, plan_of(recipe, machine, longest, checkpointing))


def _sizes(
    recipe: Recipe,
    shapes: Shapes,
    plan: Plan,
    model: ModelFacts,
    machine: Machine | None,
    dataset: DatasetReport | None,
) -> Costs:
    need = disk.needed(recipe, model, machine, dataset.tokens if dataset else 0)
    assert need is not None
    whole = need.checkpoint_bytes + need.best_bytes
    stored = model.tensor_bytes or round(shapes.parameters * _STORED.get(model.dtype, _HALF))
    return Costs(
        checkpoint_bytes=need.checkpoint_bytes,
        checkpoints_bytes=(recipe.training.keep_checkpoints + 1) * whole,
        disk_bytes=need.total_bytes,
        adapter_bytes=None if plan.full else disk.adapter_file_bytes(shapes, plan),
        merged_bytes=disk.model_file_bytes(shapes, stored),
        exports_bytes={kind: disk.gguf_bytes(shapes, kind) for kind in disk.GGUF_BITS},
        ram_load_bytes=_ram_to_load(shapes, plan),
        ram_merge_bytes=_ram_to_merge(shapes),
        ram_offload_bytes=_ram_to_offload(shapes, plan) or None,
    )


def _ram_to_load(shapes: Shapes, plan: Plan) -> int:
    """On a processor all weights. On a card a file is mapped and goes there tensor by tensor, and
    what is read of it lies in memory that the system may take back: the largest tensor, twice."""
    if plan.on_gpu:
        return PROCESS_BYTES + 2 * plan.weight_bytes * _largest(shapes)
    quantized = {"nf4": 0.516, "int8": 1.0, "": float(plan.weight_bytes)}[plan.quantized]
    rest = shapes.parameters - shapes.linear
    return PROCESS_BYTES + round(shapes.linear * quantized + rest * plan.weight_bytes)


def _ram_to_offload(shapes: Shapes, plan: Plan) -> int:
    """The engine, and what a micro-batch leaves for its backward pass."""
    return PROCESS_BYTES + offloaded_bytes(shapes, plan) if plan.offload else 0


def _ram_to_merge(shapes: Shapes) -> int:
    """A merge goes tensor by tensor: as read, in float32, what is added, the sum and its rounded
    form are there at once. The check of the merged model afterwards is left out where memory is
    short of it."""
    return PROCESS_BYTES + 16 * _largest(shapes)


def _largest(shapes: Shapes) -> int:
    """Values of the largest tensor."""
    return max(tensor.values // tensor.count for tensor in shapes.tensors())


def _timed(
    found: Costs,
    recipe: Recipe,
    shapes: Shapes,
    plan: Plan,
    dataset: DatasetReport,
    speed: Speed,
) -> Costs:
    row = rows_of(dataset, recipe.data.max_length)
    training, learnt = recipe.training, _learnt_rows(recipe, dataset)
    batch = min(training.batch_size, learnt)
    step = work.training(shapes, plan, row.times(batch))
    seen = training.max_steps * batch if training.max_steps else training.epochs * learnt
    looks = _evaluations(recipe, found.steps or 1)
    held_out = row.times(dataset.eval_rows * looks)
    total = work.training(shapes, plan, row.times(seen)) + work.evaluation(shapes, plan, held_out)
    seconds, off = total / speed.flops, spread(speed, shapes.parameters)
    return msgspec.structs.replace(
        found,
        step_seconds=step / speed.flops,
        total_seconds=seconds,
        low_seconds=seconds / off,
        high_seconds=seconds * off,
    )


def _learnt_rows(recipe: Recipe, dataset: DatasetReport) -> int:
    kept = dataset.kept_rows or dataset.usable_rows or dataset.rows
    held_out = dataset.eval_rows if dataset.kept_rows else round(kept * recipe.data.eval_share)
    return max(1, kept - held_out)


def _evaluations(recipe: Recipe, steps: int) -> int:
    every = recipe.training.eval_every or max(1, math.ceil(steps / EVALUATIONS))
    return math.ceil(steps / every)


def _square(dataset: DatasetReport, mean: float, longest: int) -> float:
    """The mean of the rows' lengths squared, by the histogram where there is one."""
    if not dataset.bin_tokens or not sum(dataset.histogram):
        return mean * mean
    width = dataset.bin_tokens
    lengths = [min(longest, (place + 0.5) * width) for place in range(len(dataset.histogram))]
    squares = sum(n * length**2 for n, length in zip(dataset.histogram, lengths, strict=True))
    return max(mean * mean, squares / sum(dataset.histogram))
