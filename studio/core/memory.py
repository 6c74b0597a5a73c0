"""What a run takes, by arithmetic, part by part: an estimate, never a measurement.

Sources: QLoRA (arXiv 2305.14314) for NF4 and double quantization, Korthikanti et al.
(arXiv 2205.05198) for activations, peft's and bitsandbytes' documentation for the rest; figures
marked "measured" are of this studio's own CPU measurements.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core.facts import Machine, ModelFacts
from studio.core.lengths import MICRO_BATCH_TOKENS as MICRO_BATCH_TOKENS
from studio.core.recipe import Optimizer, Recipe
from studio.core.savings import savings
from studio.core.shapes import Shapes, shapes_of

Verdict = Literal["fits", "tight", "too big", "unknown"]

MIB = 1 << 20
GIB = 1 << 30
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# The loss makes logits in fp32 chunks of at most this, at trained positions alone.
LOGIT_CHUNK = 64 * MIB
# Formulas of this kind were at most 28.8 % off on nine of ten of 151 published runs.
UNCERTAINTY = 0.288
# Allocator's reserved over allocated memory with SDPA: the median of 69 published runs.
CUDA_SLACK = 0.10
CUDA_CONTEXT = 500 * MIB
# A Python process with torch, transformers, peft and bitsandbytes: measured 390 MiB after the
# imports, and thread pools on top.
CPU_CONTEXT = 500 * MIB
# malloc keeps what was freed: measured 0.5 to 1 GB above the tensors of small models.
CPU_SLACK = 0.35

OPTIMIZER_BYTES: dict[Optimizer, float] = {
    "adamw": 8.0,
    "paged_adamw": 8.0,
    "adamw_8bit": 2.0,
    "paged_adamw_8bit": 2.0,
    "adafactor": 0.1,
}


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is expected to take on one device; all bytes.

    `upper_bytes` is what it should stay below; `parts` add up to `expected_bytes`. Without facts
    to reckon with the verdict is "unknown" and the figures are 0. `assumed` names what the
    estimate took where the recipe says auto.
    """

    expected_bytes: int = 0
    upper_bytes: int = 0
    parts: dict[str, int] = {}
    devices: tuple[str, ...] = ()
    available_bytes: int = 0
    verdict: Verdict = "unknown"
    advice: tuple[str, ...] = ()
    assumed: dict[str, int | str] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the automatic settings of a recipe come to: bytes for each value, tokens at once."""

    on_gpu: bool
    weight_bytes: float
    linear_bytes: float
    stream_bytes: int
    tokens: int
    checkpointing: bool


def estimate(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None = None,
    longest: int = 0,
    advise: bool = True,
) -> Estimate:
    """What the run takes in memory. `longest` is the longest row's tokens where it is known.

    Without a machine the verdict is "unknown", and a card that does bf16 is assumed.
    """
    shapes = shapes_of(model.config) if model else None
    if shapes is None:
        return Estimate(advice=("Nothing is known of this model's architecture.",))
    asked = recipe.training.gradient_checkpointing
    found = _estimate(recipe, shapes, machine, longest, asked == "yes")
    if asked == "auto" and found.verdict in ("tight", "too big"):
        found = _estimate(recipe, shapes, machine, longest, True)
    if not advise or found.verdict not in ("tight", "too big"):
        return found
    advice = _advice(recipe, model, machine, longest)
    return msgspec.structs.replace(found, advice=advice)


def checkpointing(
    recipe: Recipe, model: ModelFacts | None, machine: Machine | None, longest: int = 0
) -> bool:
    """Whether activations are recomputed: as asked, and on auto where nothing else would fit."""
    asked = recipe.training.gradient_checkpointing
    if asked != "auto":
        return asked == "yes"
    found = estimate(recipe, model, machine, longest, advise=False)
    return found.assumed.get("gradient_checkpointing") == "yes"


def available_bytes(machine: Machine | None) -> int | None:
    """Free memory of the first card, or of the system without one, less the reserve."""
    if machine is None:
        return None
    free = machine.gpus[0].free_bytes if machine.gpus else machine.ram_free_bytes
    return max(0, free - machine.reserve_bytes)


def device_names(machine: Machine | None) -> tuple[str, ...]:
    """The device that the run would use."""
    if machine is None:
        return ()
    return (machine.gpus[0].name,) if machine.gpus else (machine.cpu or "CPU",)


def does_bf16(machine: Machine | None) -> bool:
    """Whether bf16 is the machine's natural type: Ampere and newer, or a CPU with instructions."""
    if machine is None:
        return True
    if machine.gpus:
        return (machine.gpus[0].compute_capability or (0, 0)) >= (8, 0)
    return machine.bf16_cpu


def plan_of(
    recipe: Recipe, machine: Machine | None, longest: int = 0, checkpointing: bool = False
) -> Plan:
    """What the automatic settings come to on this machine.

    Full fine-tuning keeps fp32 weights and computes in 16 bits (autocast), unless the recipe asks
    for a 16-bit base; an adapter's base is held in the type it computes in.
    """
    on_gpu = machine is None or bool(machine.gpus)
    half = _computes_in_half(recipe, machine, on_gpu)
    weight = 2.0 if half else 4.0
    if recipe.method == "full":
        weight = 2.0 if recipe.training.base_precision == "16" else 4.0
    elif recipe.training.base_precision == "32":
        weight = 4.0
    int8 = recipe.method == "lora" and recipe.training.base_precision == "8"
    return Plan(
        on_gpu=on_gpu,
        weight_bytes=weight,
        linear_bytes=NF4_BYTES if recipe.method == "qlora" else 1.0 if int8 else weight,
        stream_bytes=2 if half else 4,
        tokens=_tokens(recipe, longest),
        checkpointing=checkpointing,
    )


def _computes_in_half(recipe: Recipe, machine: Machine | None, on_gpu: bool) -> bool:
    if recipe.training.dtype == "auto":
        return on_gpu or does_bf16(machine)
    return recipe.training.dtype != "float32" and (on_gpu or recipe.training.dtype == "bfloat16")


def _tokens(recipe: Recipe, longest: int) -> int:
    length = min(recipe.data.max_length, longest or recipe.data.max_length)
    if recipe.training.micro_batch_size:
        return recipe.training.micro_batch_size * length
    return max(length, min(MICRO_BATCH_TOKENS, recipe.training.batch_size * length))


def _estimate(
    recipe: Recipe, shapes: Shapes, machine: Machine | None, longest: int, recompute: bool
) -> Estimate:
    plan = plan_of(recipe, machine, longest, recompute)
    parts = _parts(recipe, shapes, plan)
    expected = sum(parts.values())
    upper = int(expected * (1 + UNCERTAINTY))
    available = available_bytes(machine)
    return Estimate(
        expected_bytes=expected,
        upper_bytes=upper,
        parts=parts,
        devices=device_names(machine),
        available_bytes=available or 0,
        verdict=_verdict(expected, upper, available),
        assumed={
            "tokens_at_once": plan.tokens,
            "gradient_checkpointing": "yes" if recompute else "no",
            "computes_in_bits": 8 * plan.stream_bytes,
        },
    )


def weights_bytes(shapes: Shapes, plan: Plan) -> int:
    """All weights: quantized linear layers at 4.127 bits (NF4, double quantization) or 8,
    everything else (embeddings, lm_head, norms) at 16 or 32 bits."""
    rest = shapes.parameters - shapes.linear
    return int(shapes.linear * plan.linear_bytes + rest * plan.weight_bytes)


def trainable(recipe: Recipe, shapes: Shapes) -> int:
    """Values that learn: all of them, or rank x (inputs + outputs) of each targeted layer."""
    if recipe.method == "full":
        return shapes.parameters
    return recipe.lora.rank * shapes.sides(recipe.lora.target_modules)


def adapter_bytes(recipe: Recipe, shapes: Shapes) -> int:
    """The adapter's own weights, kept in fp32; none in full fine-tuning."""
    return 0 if recipe.method == "full" else 4 * trainable(recipe, shapes)


def gradient_bytes(recipe: Recipe, shapes: Shapes, plan: Plan) -> int:
    """One gradient for each value that learns, in that value's type."""
    each = plan.weight_bytes if recipe.method == "full" else 4
    return int(each * trainable(recipe, shapes))


def optimizer_bytes(recipe: Recipe, shapes: Shapes, plan: Plan) -> int:
    """AdamW keeps two values a weight in its type, 8-bit AdamW two bytes; Adafactor rows and
    columns alone. Paged states are counted in full: they leave the card only under pressure."""
    each = OPTIMIZER_BYTES[recipe.training.optimizer]
    if recipe.method == "full" and plan.weight_bytes == 2:
        each = min(each, 4.0)
    return int(each * trainable(recipe, shapes))


def activation_bytes(shapes: Shapes, plan: Plan) -> int:
    """What the backward pass needs: with checkpointing one residual a layer and one layer whole,
    without it (12 h + 3 q + kv + 3 d_ff) values a layer and token."""
    attention = 3 * shapes.heads * shapes.head_dim + shapes.kv_heads * shapes.head_dim
    layer = (
        (12 * shapes.hidden + attention + 3 * shapes.intermediate) * plan.stream_bytes * plan.tokens
    )
    if not plan.checkpointing:
        return shapes.layers * layer
    return shapes.layers * shapes.hidden * plan.stream_bytes * plan.tokens + layer


def logits_bytes(shapes: Shapes, plan: Plan) -> int:
    """Logits, their fp32 copy and gradients: 16 bytes a value, for one chunk at most."""
    return min(4 * LOGIT_CHUNK, 16 * shapes.vocabulary * plan.tokens)


def _parts(recipe: Recipe, shapes: Shapes, plan: Plan) -> dict[str, int]:
    parts = {
        "weights": weights_bytes(shapes, plan),
        "adapter": adapter_bytes(recipe, shapes),
        "gradients": gradient_bytes(recipe, shapes, plan),
        "optimizer": optimizer_bytes(recipe, shapes, plan),
        "activations": activation_bytes(shapes, plan),
        "logits": logits_bytes(shapes, plan),
    }
    share = CUDA_SLACK if plan.on_gpu else CPU_SLACK
    parts["slack"] = int(share * sum(parts.values()))
    parts["context"] = CUDA_CONTEXT if plan.on_gpu else CPU_CONTEXT
    return parts


def _verdict(expected: int, upper: int, available: int | None) -> Verdict:
    if available is None:
        return "unknown"
    if upper <= available:
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
