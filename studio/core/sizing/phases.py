"""The phases of a run, each with what it takes; the peak is the worst of them."""

from __future__ import annotations

from typing import Literal, get_args

from studio.core.sizing import activations, attention, logits
from studio.core.sizing.learning import adapter_bytes, gradient_bytes, optimizer_bytes
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.weights import weights_bytes

Phase = Literal["load", "forward", "backward", "optimizer", "evaluation", "save"]
PHASES: tuple[Phase, ...] = get_args(Phase)
BREAKDOWN: tuple[str, ...] = (
    "weights",
    "adapter",
    "gradients",
    "optimizer",
    "activations",
    "logits",
    "attention",
    "temporaries",
)
"""The parts that add up to what is allocated, in drawing order."""


def phases(shapes: Shapes, plan: Plan) -> dict[Phase, dict[str, int]]:
    """The parts of what each phase allocates; the loss and a layer never peak together."""
    held = {
        "weights": weights_bytes(shapes, plan),
        "adapter": adapter_bytes(shapes, plan),
        "gradients": gradient_bytes(shapes, plan),
        "optimizer": optimizer_bytes(shapes, plan),
    }
    kept = {
        "activations": activations.kept(shapes, plan),
        "attention": attention.kept(shapes, plan),
        "logits": logits.kept(shapes, plan),
    }
    layer = {
        "activations": activations.hump(shapes, plan),
        "attention": attention.hump(shapes, plan),
    }
    loss = {"logits": logits.hump(shapes, plan)}
    hump = max(loss, layer, key=lambda parts: sum(parts.values()))
    forward = {
        "activations": activations.forward_hump(shapes, plan),
        "attention": attention.forward_hump(shapes, plan),
    }
    still = {name: held[name] for name in ("weights", "adapter", "optimizer")}
    return {
        "load": {"weights": held["weights"]},
        "forward": _sum(held, kept, forward),
        "backward": _sum(held, kept, hump),
        "optimizer": held,
        "evaluation": _sum(still, forward, {"logits": logits.evaluation(shapes, plan)}),
        "save": still,
    }


def _sum(*parts: dict[str, int]) -> dict[str, int]:
    return {name: sum(part.get(name, 0) for part in parts) for name in BREAKDOWN}
