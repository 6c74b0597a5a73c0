"""What a machine decides for a run: once, written down, and taken over by whoever resumes it."""

from __future__ import annotations

import os

import msgspec
import psutil
import torch

from studio.core import calibration
from studio.core.facts import ModelFacts
from studio.core.lengths import CPU_MICRO_BATCH_TOKENS, MICRO_BATCH_TOKENS
from studio.core.recipe import Recipe, learning_rate
from studio.core.sizing.plan import rows_at_once
from studio.engine import accelerations, conditions, memory, offload, precision
from studio.engine.data import Rows
from studio.engine.fast import attention
from studio.engine.job import Context
from studio.library import calibrations
from studio.library.files import write_whole
from studio.library.folders import JobFolder

NEVER = -1


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine decided for a run; a resumed run takes it over where it still can.

    `evaluation_tokens` is what an evaluation's batch holds where memory was too short for
    `micro_batch_tokens`; `roll_backs` counts how often the learning rate was halved.
    `accelerations` are those of core/accelerations.py that are at work; a run of an older studio
    goes on without. `compiled_from` is the step from which on what is compiled is used
    (compiling.py), NEVER where that was decided against, None before. `conditions` is what else
    the last digits depend on (conditions.py).
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
    offload_activations: bool = False
    learning_rate: float
    attention: str = ""
    accelerations: tuple[str, ...] = ()
    compiled_from: int | None = None
    evaluation_tokens: int = 0
    roll_backs: int = 0
    conditions: dict[str, str] = {}


def decide(context: Context, recipe: Recipe, facts: ModelFacts, rows: Rows) -> Decided:
    """What was decided before as far as this machine can do it, else anew.

    Says in a note what keeps a resumed run from going on to the last digit.
    """
    device = precision.best_device()
    now = conditions.here(device)
    before = decided_before(context.folder)
    if before is None:
        _say_forgotten(context)
        return _anew(context, recipe, facts, rows, device, now)
    if context.folder.checkpoints.is_dir():
        _say_differences(context, before, now)
    if before.device != device.type:
        new = _anew(context, recipe, facts, rows, device, now)
        return msgspec.structs.replace(
            new, learning_rate=before.learning_rate, roll_backs=before.roll_backs
        )
    threads = min(before.threads, _usable_cores())
    return msgspec.structs.replace(before, threads=threads, conditions=now)


def decided_before(folder: JobFolder) -> Decided | None:
    """What decided.json says; None where there is none that can be read."""
    try:
        return msgspec.json.decode(folder.decided.read_bytes(), type=Decided)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(folder: JobFolder, decided: Decided) -> None:
    """Write decided.json."""
    write_whole(folder.decided, msgspec.json.format(msgspec.json.encode(decided)))


def _anew(
    context: Context,
    recipe: Recipe,
    facts: ModelFacts,
    rows: Rows,
    device: torch.device,
    now: dict[str, str],
) -> Decided:
    format_ = precision.decide(recipe.training.dtype, device)
    longest = max(1, rows.longest)
    asked = rows_at_once(recipe)
    room = MICRO_BATCH_TOKENS if device.type == "cuda" else CPU_MICRO_BATCH_TOKENS
    tokens = asked * longest if asked else max(room, longest)
    size = min(recipe.training.batch_size, asked or tokens // longest)
    machine = memory.machine(context.home)
    faster = accelerations.decide(context.home, device)
    kind = _attention(facts, rows, accelerations.attention_kind(faster, format_.name))
    return Decided(
        device=device.type,
        dtype=format_.name,
        dtype_reason=format_.reason,
        threads=_threads(),
        micro_batch_size=size,
        micro_batch_tokens=tokens,
        gradient_accumulation=-(-recipe.training.batch_size // size),
        packing=_packing(recipe, kind),
        gradient_checkpointing=calibration.recomputes(
            recipe, facts, machine, rows.longest, calibrations.kept(context.home)
        ),
        offload_activations=_offloads(context, recipe, device),
        learning_rate=learning_rate(recipe),
        attention=kind,
        accelerations=faster,
        conditions=now,
    )


def _offloads(context: Context, recipe: Recipe, device: torch.device) -> bool:
    """Whether activations are kept in system memory; says so where that gains nothing."""
    wanted = recipe.training.offload_activations
    if wanted and device.type == "cpu":
        context.channel.note(offload.NOTHING_SAVED)
    return wanted and device.type != "cpu"


def _say_differences(context: Context, before: Decided, now: dict[str, str]) -> None:
    found = conditions.differences(before.conditions, now)
    usable = _usable_cores()
    if before.threads > usable:
        found.insert(0, f"there are {usable} processor threads, not {before.threads}")
    if before.device == "cuda":
        found.append("a graphics card doesn't always add in the same order")
    if found:
        context.channel.note(
            "This run may differ in the last digits from one that was never interrupted, because "
            f"{', and '.join(found)}.",
            "warning",
        )


def _say_forgotten(context: Context) -> None:
    if context.folder.decided.exists():
        context.channel.note(
            "What was decided for this run (decided.json) can't be read and was decided anew; "
            "it may differ in the last digits from one that was never interrupted.",
            "warning",
        )


def _packing(recipe: Recipe, kind: str) -> bool:
    """Packed rows cost nothing where each attends for itself."""
    wanted = recipe.data.packing
    return wanted == "yes" or (wanted == "auto" and accelerations.keeps_rows_apart(kind))


def _attention(facts: ModelFacts, rows: Rows, kind: str) -> str:
    """Row by row, unless rows are longer than the model's window."""
    window = facts.config.get("sliding_window")
    windowed = isinstance(window, int) and window < rows.longest
    return "" if windowed and kind == attention.NAME else kind


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
