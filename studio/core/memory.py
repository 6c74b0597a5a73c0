"""What a run takes, by arithmetic, part by part: an estimate, never a measurement.

The terms are in core/sizing, each with its source; here they become a peak, an upper bound and a
verdict on a machine.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.lengths import MICRO_BATCH_TOKENS as MICRO_BATCH_TOKENS
from studio.core.recipe import Recipe
from studio.core.savings import savings
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.learning import trainable as trainable_values
from studio.core.sizing.offloading import recomputing
from studio.core.sizing.overheads import context_bytes, slack_bytes
from studio.core.sizing.phases import BREAKDOWN as BREAKDOWN
from studio.core.sizing.phases import phases
from studio.core.sizing.plan import Plan, plan_of
from studio.core.sizing.plan import Ways as Ways
from studio.core.sizing.shapes import Shapes

Verdict = Literal["fits", "tight", "too big", "unknown"]

MIB = 1 << 20
GIB = 1 << 30
# Published runs took at most this much more than estimated, but for one in twenty.
UNCERTAINTY = 0.22
# After a measurement on this very machine.
CALIBRATED = 0.05


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is expected to take on one device; all bytes.

    `expected_bytes` is the peak that the allocator reserves, without the device's context:
    parts["allocated"] + parts["slack"]; `upper_bytes` is what it should stay below, and
    `needed_bytes` that with the context, which is what has to be available. `parts` are those of
    BREAKDOWN that there are at the peak, which add up to "allocated"; then "allocated", "slack"
    and "context". `phases` has what each phase of a run allocates. Without facts to reckon with
    the verdict is "unknown" and the figures are 0. `assumed` names what the estimate took where
    the recipe says auto.
    """

    expected_bytes: int = 0
    upper_bytes: int = 0
    needed_bytes: int = 0
    parts: dict[str, int] = {}
    phases: dict[str, int] = {}
    peak_phase: str = ""
    devices: tuple[str, ...] = ()
    available_bytes: int = 0
    verdict: Verdict = "unknown"
    advice: tuple[str, ...] = ()
    assumed: dict[str, int | str] = {}


def estimate(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None = None,
    longest: int = 0,
    advise: bool = True,
    *,
    ways: Ways = Ways(),
    calibration: float = 1.0,
    card: int | None = None,
) -> Estimate:
    """What the run takes in memory. `longest` is the longest row's tokens where it is known.

    Without a machine the verdict is "unknown", and a card that does bf16 is assumed. `card` is
    which of the machine's cards, else the one that it would use. `calibration` is measured peak
    over arithmetic on this machine.
    """
    if text := _stored_quantized(model):
        return Estimate(advice=(text,))
    shapes = shapes_of(model.config) if model else None
    if shapes is None:
        text = "Nothing is known of this model's architecture: measure it."
        return Estimate(advice=(text,))
    asked = recomputing(recipe, machine)
    plan = plan_of(recipe, machine, longest, asked == "yes", ways)
    found = _estimate(shapes, plan, machine, card, calibration)
    if asked == "auto" and found.verdict in ("tight", "too big"):
        plan = msgspec.structs.replace(plan, checkpointing=True)
        found = _estimate(shapes, plan, machine, card, calibration)
    if not advise or found.verdict not in ("tight", "too big"):
        return found
    advice = _advice(recipe, model, machine, longest)
    return msgspec.structs.replace(found, advice=advice)


def _stored_quantized(model: ModelFacts | None) -> str:
    """Why nothing can be said of weights that are stored in few bits (GPTQ, AWQ, …); "" of others:
    how they would be held while training isn't said by how they are stored."""
    stored = model.config.get("quantization_config") if model else None
    if not stored:
        return ""
    how = stored.get("quant_method", "") if isinstance(stored, dict) else ""
    return (
        f"Its weights are stored quantized{f' ({how})' if how else ''}, and the studio doesn't "
        "train on those: take the 16-bit original."
    )


def trainable(recipe: Recipe, shapes: Shapes) -> int:
    """Values that learn."""
    return trainable_values(shapes, plan_of(recipe, None))


def checkpointing(
    recipe: Recipe, model: ModelFacts | None, machine: Machine | None, longest: int = 0
) -> bool:
    """Whether activations are recomputed: as asked, and on auto where nothing else would fit."""
    asked = recomputing(recipe, machine)
    if asked != "auto":
        return asked == "yes"
    found = estimate(recipe, model, machine, longest, advise=False)
    return found.assumed.get("gradient_checkpointing") == "yes"


def card_of(machine: Machine | None, card: int | None = None) -> Gpu | None:
    """The card asked for, or the one that a run on this machine would use; None without any."""
    if machine is None or not machine.gpus:
        return None
    place = machine.card if card is None else card
    return machine.gpus[min(place, len(machine.gpus) - 1)]


def available_bytes(machine: Machine | None, card: int | None = None) -> int | None:
    """Free memory of the card, or of the system without one, less the reserve."""
    if machine is None:
        return None
    gpu = card_of(machine, card)
    free = gpu.free_bytes if gpu else machine.ram_free_bytes
    return max(0, free - machine.reserve_bytes)


def device_names(machine: Machine | None, card: int | None = None) -> tuple[str, ...]:
    """The device that the run would use."""
    if machine is None:
        return ()
    gpu = card_of(machine, card)
    return (gpu.name,) if gpu else (machine.cpu or "CPU",)


def _estimate(
    shapes: Shapes, plan: Plan, machine: Machine | None, card: int | None, calibration: float
) -> Estimate:
    found = phases(shapes, plan)
    totals = {str(phase): sum(parts.values()) for phase, parts in found.items()}
    worst = max(found, key=lambda phase: totals[phase])
    at_peak = {name: count for name, count in found[worst].items() if count > 0}
    gpu = card_of(machine, card)
    capability = gpu.compute_capability if gpu else None
    allocated, context = totals[worst], context_bytes(plan, capability)
    slack = slack_bytes(shapes, plan, allocated)
    if calibration != 1.0:
        slack = max(0, round((allocated + slack) * calibration) - allocated)
    expected = allocated + slack
    upper = int(expected * (1 + (CALIBRATED if calibration != 1.0 else UNCERTAINTY)))
    available = available_bytes(machine, card)
    return Estimate(
        expected_bytes=expected,
        upper_bytes=upper,
        needed_bytes=upper + context,
        parts=at_peak | {"allocated": allocated, "slack": slack, "context": context},
        phases=totals,
        peak_phase=worst,
        devices=device_names(machine, card),
        available_bytes=available or 0,
        verdict=_verdict(expected + context, upper + context, available),
        assumed=_assumed(plan),
    )


def _assumed(plan: Plan) -> dict[str, int | str]:
    rare = {"offload_activations": plan.offload > 0, "optimizer_in_backward": plan.immediate}
    return {
        "micro_batch": plan.rows,
        "length": plan.length,
        "tokens_at_once": plan.tokens,
        "gradient_checkpointing": "yes" if plan.checkpointing else "no",
        "computes_in_bits": 8 * plan.compute_bytes,
        "attention": plan.attention,
        "logits": plan.logits,
    } | {name: "yes" for name, on in rare.items() if on}


def _verdict(expected: int, needed: int, available: int | None) -> Verdict:
    if available is None:
        return "unknown"
    if needed <= available:
        return "fits"
    return "tight" if expected <= available else "too big"


def reductions(
    recipe: Recipe, model: ModelFacts | None, machine: Machine | None = None, longest: int = 0
) -> list[tuple[str, int, Estimate]]:
    """What would lower the estimate, the largest saving first: words, bytes saved at most and the
    estimate then."""
    upper = estimate(recipe, model, machine, longest, advise=False).upper_bytes
    found = []
    for text, changed in savings(recipe):
        other = estimate(changed, model, machine, longest, advise=False)
        if upper - other.upper_bytes > upper * 0.02:
            found.append((text, upper - other.upper_bytes, other))
    return sorted(found, key=lambda entry: -entry[1])


def _advice(
    recipe: Recipe, model: ModelFacts | None, machine: Machine | None, longest: int
) -> tuple[str, ...]:
    told = []
    for text, saved, other in reductions(recipe, model, machine, longest):
        fits = "; that would fit" if other.verdict == "fits" else ""
        told.append(f"{text}: about {saved / GIB:.1f} GB less{fits}.")
    return tuple(told)
