"""Which base a QLoRA adapter is merged into: the 16-bit original, or the 4-bit one it was trained
on written out in 16 bits. Both are scored on the run's held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil
import torch
from torch.nn.functional import cross_entropy

from studio.core.errors import StudioError
from studio.engine import quantized_base
from studio.engine.beside import attach
from studio.engine.data import Row, Rows
from studio.engine.decided import decided_before
from studio.engine.load import load_model, stored_dtype
from studio.engine.precision import NAMES, best_device
from studio.engine.quantized_base import AsTrained
from studio.library import adapters
from studio.library.folders import Home, JobFolder
from studio.library.models import weights

Base = Literal["original", "trained"]
MOST_TOKENS = 16_384
"""Of held-out rows that are read: a sample is enough to tell two bases apart."""

Tick = Callable[[float], None]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The base that is merged into, and the mean held-out losses in nats a token of the adapter
    on both, over `positions` tokens; none where no rows were held out or memory is too short."""

    base: Base
    losses: dict[Base, float] = {}
    positions: int = 0


def choose(home: Home, base: Path, adapter: Path, wanted: str, tick: Tick) -> Choice | None:
    """The base to merge into; None where there is but one, as for every adapter but QLoRA's.

    `wanted` is "auto", "original" or "trained". `tick` hears the share done and may raise.
    Raises StudioError where the base asked for is none of this adapter's.
    """
    known = adapters.facts(adapter)
    if known.method != "qlora":
        if wanted == "trained":
            raise StudioError(
                "Only one base",
                f"{known.name} was trained on the base as it is, not on a 4-bit one.",
                "Merge it into the original.",
            )
        return None
    if wanted == "original":
        return Choice(base="original")
    if wanted == "trained":
        return Choice(base="trained")
    rows = rows_of(home, known.run) if room(base) else []
    if not rows:
        return Choice(base="original")
    losses = _losses(home, base, adapter, rows, tick)
    best: Base = "trained" if losses["trained"] < losses["original"] else "original"
    positions = sum(int((row.labels[1:] >= 0).sum()) for row in rows)
    return Choice(base=best, losses=losses, positions=positions)


def as_trained(home: Home, base: Path, adapter: Path) -> AsTrained:
    """What turns the weights of this base into those that this adapter was trained on: 4-bit
    layers in the number format that its run decided on, or the base's own where that isn't known.
    """
    run = adapters.facts(adapter).run
    known = decided_before(JobFolder(home.runs / run)) if _is_name(run) else None
    dtype = NAMES.get(known.dtype) if known else None
    return AsTrained(quantized_base.layers(weights.read(base)[0]), dtype or stored_dtype(base))


def room(base: Path) -> bool:
    """Whether the 16-bit model finds room in memory."""
    size = weights.size(weights.read(base)[0])
    return torch.cuda.is_available() or psutil.virtual_memory().available > 1.3 * size


def rows_of(home: Home, run: str) -> list[Row]:
    """Held-out rows of the run that made the adapter, while its folder is there."""
    if not _is_name(run):
        return []
    rows = _open(home, run, "eval.arrow")
    return _first(rows, range(len(rows)), MOST_TOKENS)


def trained_rows(home: Home, run: str, most: int) -> list[Row]:
    """Rows that the run learnt from, spread evenly over all of them, of about `most` tokens."""
    if not _is_name(run):
        return []
    rows = _open(home, run, "train.arrow")
    step = max(1, int(rows.lengths.sum()) // most)
    return _first(rows, range(0, len(rows), step), most)


def _open(home: Home, run: str, name: str) -> Rows:
    try:
        return Rows.open(JobFolder(home.runs / run).data / name)
    except StudioError:
        return Rows.open(home.runs / run / "nothing")


def _first(rows: Rows, order: range, most: int) -> list[Row]:
    taken: list[Row] = []
    tokens = 0
    for index in order:
        tokens += int(rows.lengths[index])
        if taken and tokens > most:
            break
        taken.append(rows[index])
    return taken


def _is_name(run: str) -> bool:
    """An adapter made elsewhere may say anything."""
    return run not in ("", ".", "..") and Path(run).name == run


def _losses(
    home: Home, base: Path, adapter: Path, rows: list[Row], tick: Tick
) -> dict[Base, float]:
    dtype = stored_dtype(base)
    model: Any = attach(load_model(base, dtype, device=best_device()), adapter)
    original = loss(model, rows, lambda share: tick(share / 2))
    quantized_base.put(model.get_base_model(), as_trained(home, base, adapter))
    trained = loss(model, rows, lambda share: tick(0.5 + share / 2))
    return {"original": original, "trained": trained}


@torch.inference_mode()
def loss(model: Any, rows: list[Row], tick: Tick) -> float:
    """The mean loss of these rows' trained tokens, in nats; `tick` hears the share done."""
    total, count = 0.0, 0
    for place, row in enumerate(rows):
        tick(place / len(rows))
        ids = torch.tensor(row.input_ids[None], device=model.device)
        targets = torch.tensor(row.labels[1:], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        total += float(cross_entropy(logits, targets, reduction="sum", ignore_index=-100))
        count += int((targets >= 0).sum())
    return total / max(1, count)
