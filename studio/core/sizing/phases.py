"""The phases of a run, each with what it takes; the peak is the worst of them."""

from __future__ import annotations

from typing import Literal, get_args

from studio.core.sizing import activations
from studio.core.sizing.learning import adapter_bytes, gradient_bytes, optimizer_bytes
from studio.core.sizing.passing import load_bytes, save_bytes, step_bytes
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
    """The parts of what each phase allocates; forward and backward at their highest moment."""
    held = {
        "weights": weights_bytes(shapes, plan),
        "adapter": adapter_bytes(shapes, plan),
        "optimizer": optimizer_bytes(shapes, plan),
    }
    moments = activations.moments(shapes, plan)
    forward, backward = (
        max((one for one in moments if one.phase == phase), key=lambda one: one.total)
        for phase in ("forward", "backward")
    )
    gradients = {"gradients": 0 if plan.immediate else gradient_bytes(shapes, plan)}
    return {
        "load": _sum({"weights": held["weights"], "temporaries": load_bytes(shapes, plan)}),
        "forward": _sum(held, forward.parts),
        "backward": _sum(held, backward.parts),
        "optimizer": _sum(
            held, gradients, {"temporaries": step_bytes(shapes, plan) if not plan.immediate else 0}
        ),
        "evaluation": _sum(held, activations.evaluation(shapes, plan).parts),
        "save": _sum(held, {"temporaries": save_bytes(shapes, plan)}),
    }


def _sum(*parts: dict[str, int]) -> dict[str, int]:
    return {name: sum(part.get(name, 0) for part in parts) for name in BREAKDOWN}
