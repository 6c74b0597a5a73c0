"""What a measurement found, part by part, in the words of the arithmetic (core/memory.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from studio.engine import tensors
from studio.engine.learner import Learner

STEP_PHASES = ("forward", "backward", "optimizer")


@dataclass(frozen=True)
class Measured:
    """Bytes. `held` and `allocated` are peaks by phase without `idle`, what the engine held before
    there was a model; `activations` is what a forward pass left for its backward pass."""

    held: dict[str, int]
    allocated: dict[str, int]
    idle: int
    gradients: int
    activations: int

    @property
    def peak(self) -> int:
        """The most that was held, to be compared with `Estimate.expected_bytes`."""
        return max(self.held.values(), default=0)

    @property
    def peak_phase(self) -> str:
        """The phase in which tensors took most."""
        return max(self.allocated, key=lambda name: self.allocated[name], default="")

    def told(self, parts: dict[str, int]) -> dict[str, Any]:
        """It as a job's result has it."""
        return {
            "peak_bytes": self.peak,
            "context_bytes": self.idle,
            "process_bytes": self.peak + self.idle,
            "parts": parts,
            "phases": self.allocated,
            "held_by_phase": self.held,
            "peak_phase": self.peak_phase,
            "device": "cuda" if torch.cuda.is_available() else "cpu",
        }

    @staticmethod
    def held_always(learner: Learner) -> int:
        """Bytes of what is there all the time: weights, adapter and optimizer."""
        model = learner.setup.model
        every = [*tensors.frozen(model), *tensors.learnt(model), *tensors.states(learner.optimizer)]
        return tensors.held(every)

    @staticmethod
    def gradient_bytes(learner: Learner) -> int:
        """Bytes of the gradients that are there now."""
        return tensors.held(tensors.gradients(learner.setup.model))


def parts_of(found: Measured, learner: Learner) -> dict[str, int]:
    """The parts at the peak; those up to temporaries add up to "allocated", and with "slack" to the
    peak. Where gradients come as activations go, the activations are counted first."""
    lasting = _lasting(learner)
    allocated = max(found.allocated.values(), default=0)
    rest = max(0, allocated - sum(lasting.values()))
    activations = 0 if found.peak_phase == "optimizer" else min(rest, found.activations)
    gradients = min(rest - activations, found.gradients)
    parts = lasting | {
        "gradients": gradients,
        "activations": activations,
        "temporaries": rest - activations - gradients,
    }
    return {name: count for name, count in parts.items() if count} | {
        "allocated": allocated,
        "slack": max(0, found.peak - allocated),
        "context": found.idle,
    }


def _lasting(learner: Learner) -> dict[str, int]:
    model, full = learner.setup.model, learner.setup.recipe.method == "full"
    weights, learnt = list(tensors.frozen(model)), tensors.learnt(model)
    found = {"weights": tensors.held([*weights, *learnt] if full else weights)}
    if not full:
        found["adapter"] = tensors.held(learnt)
    return found | {"optimizer": tensors.held(tensors.states(learner.optimizer))}
