"""What a run takes on disk, by arithmetic, and the rule by which its checkpoints are thinned."""

from __future__ import annotations

import msgspec

from studio.core import memory
from studio.core.facts import Machine, ModelFacts
from studio.core.recipe import Recipe, TrainingPart
from studio.core.sizing import learning
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.plan import Plan, plan_of
from studio.core.sizing.shapes import Shapes

SPARE_BYTES = 64 * memory.MIB
"""For logs, tokenizers and all else that is small."""
# Of a safetensors file's header, each tensor's name, type, shape and place: measured 125 to 137
# for an adapter's long names, 97 for a model's.
_HEADER_BYTES, _MODEL_HEADER_BYTES = 133, 110
# Of a state.pt, each tensor's place in the archive and in its index: measured 240 to 270.
_STATE_BYTES = 258
# Random numbers' states, progress and the digests of the files, at each checkpoint: measured.
_BESIDE_BYTES = 17_000
GGUF_BITS = {"F16": 16.0, "Q8_0": 8.5, "Q6_K": 6.5625, "Q5_K": 5.5, "Q4_K": 4.5}
"""Bits a weight: those of a block over its weights (ggml's block sizes, as gguf-py lists them)."""
_TOKEN_BYTES = 8
"""Prepared data: an id and a label of four bytes."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a run takes on disk, an estimate; all bytes.

    `checkpoint_bytes` is one checkpoint (weights that learn, and the optimizer), `best_bytes` the
    best weights alone, 0 where none are kept. `result_bytes` is the adapter, in the run's folder
    and in the library, or the model. `total_bytes` is the most there is at any moment.
    """

    checkpoint_bytes: int
    best_bytes: int
    result_bytes: int
    data_bytes: int
    total_bytes: int


def needed(
    recipe: Recipe, model: ModelFacts, machine: Machine | None = None, tokens: int = 0
) -> Need | None:
    """What the run takes; None of an unknown architecture. `tokens` are those of its data.

    The most is there while a checkpoint is written, one more than are kept and the best weights
    that each of them knows of, or while the result is.
    """
    shapes = shapes_of(model.config)
    if shapes is None:
        return None
    plan = plan_of(recipe, machine)
    weights = _weights_file(shapes, plan)
    checkpoint = weights + _state_file(shapes, plan) + _BESIDE_BYTES
    best = weights if keeps_best(recipe) else 0
    result, data = _result_bytes(shapes, plan, model), 2 * _TOKEN_BYTES * tokens
    kept = recipe.training.keep_checkpoints
    most = max((kept + 1) * (checkpoint + best), kept * checkpoint + (kept + 1) * best + result)
    return Need(
        checkpoint_bytes=checkpoint,
        best_bytes=best,
        result_bytes=result,
        data_bytes=data,
        total_bytes=most + data + SPARE_BYTES,
    )


def keeps_best(recipe: Recipe) -> bool:
    """Whether the best weights are kept: that takes rows held out to judge by."""
    return recipe.training.keep_best and recipe.data.eval_share > 0


def keeping_rule(training: TrainingPart) -> str:
    """Which checkpoints of an unfinished run stay on disk, in words."""
    newest = training.keep_checkpoints
    kept = "the newest checkpoint" if newest == 1 else f"the newest {newest} checkpoints"
    return f"Keeps {kept}{' and the best' if training.keep_best else ''}."


def size(count: float) -> str:
    """Bytes for people to read."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def adapter_file_bytes(shapes: Shapes, plan: Plan) -> int:
    """adapter_model.safetensors; the tokenizer that lies beside it is as large as the model's."""
    return learning.adapter_bytes(shapes, plan) + _HEADER_BYTES * _learning_tensors(shapes, plan)


def model_file_bytes(shapes: Shapes, tensor_bytes: int) -> int:
    """A model's safetensors files, of so many bytes in tensors."""
    return tensor_bytes + _MODEL_HEADER_BYTES * sum(one.count for one in shapes.tensors())


def gguf_bytes(shapes: Shapes, kind: str) -> int:
    """A GGUF file with all matrices of this kind and the rest in float32, the tokenizer aside."""
    tensors = shapes.tensors()
    matrices = sum(one.values for one in tensors if len(one.shape) > 1)
    rest = sum(one.values for one in tensors) - matrices
    return round(matrices * GGUF_BITS[kind] / 8) + 4 * rest


def _weights_file(shapes: Shapes, plan: Plan) -> int:
    """weights.safetensors of a checkpoint: what learns, in its own type."""
    each = _MODEL_HEADER_BYTES if plan.full else _HEADER_BYTES
    return learning.gradient_bytes(shapes, plan) + each * _learning_tensors(shapes, plan)


def _state_file(shapes: Shapes, plan: Plan) -> int:
    """state.pt: the optimizer's states, each tensor's with a count of its steps."""
    states = 3 * _learning_tensors(shapes, plan)
    return learning.optimizer_bytes(shapes, plan) + _STATE_BYTES * states


def _learning_tensors(shapes: Shapes, plan: Plan) -> int:
    if plan.full:
        return sum(one.count for one in shapes.tensors())
    return 2 * sum(one.count for one in shapes.targeted(plan.targets))


def _result_bytes(shapes: Shapes, plan: Plan, model: ModelFacts) -> int:
    if plan.full:
        return model_file_bytes(shapes, model.tensor_bytes or 2 * shapes.parameters)
    return 2 * adapter_file_bytes(shapes, plan)
