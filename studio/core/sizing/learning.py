"""What learns: the adapter, its gradients and the optimizer's states; equal to the byte."""

from __future__ import annotations

from math import prod

from studio.core.sizing.experts import adapted, sides
from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes, Tensor

_EIGHT_BIT_BLOCK = 256
_EIGHT_BIT_LEAST = 4096
_EIGHT_BIT_CODES = 2 * 256 * 4


def learnt(shapes: Shapes, plan: Plan) -> tuple[Tensor, ...]:
    """The parameter tensors that learn: all of the model's, or two for each targeted layer,
    (rank, inputs) and (outputs, rank) (LoRA, arXiv 2106.09685), and with "all-linear" those that
    peft puts on the experts of some mixtures."""
    if plan.full:
        return shapes.tensors()
    layers = [
        (plan.rank, one.inputs, one.outputs, one.count) for one in shapes.targeted(plan.targets)
    ]
    if adapted(shapes, plan):
        layers += [(*sizes, shapes.sparse_layers) for sizes in sides(shapes, plan.rank)]
    found = []
    for rank, inputs, outputs, count in layers:
        found.append(Tensor(name="lora_A.weight", shape=(rank, inputs), count=count))
        found.append(Tensor(name="lora_B.weight", shape=(outputs, rank), count=count))
    return tuple(found)


def trainable(shapes: Shapes, plan: Plan) -> int:
    """Values that learn: all of them, or rank x (inputs + outputs) of each targeted layer."""
    return shapes.parameters if plan.full else sum(one.values for one in learnt(shapes, plan))


def value_bytes(plan: Plan) -> int:
    """Bytes of a weight that learns, and of its gradient."""
    return plan.weight_bytes if plan.full else plan.adapter_bytes


def adapter_bytes(shapes: Shapes, plan: Plan) -> int:
    """The adapter's own weights; none in full fine-tuning. Those on a tower never get a gradient,
    since text doesn't go through it."""
    if plan.full:
        return 0
    still = shapes.tower.targeted(plan.targets) if shapes.tower else ()
    beside = sum(plan.rank * (one.inputs + one.outputs) * one.count for one in still)
    return plan.adapter_bytes * (trainable(shapes, plan) + beside)


def gradient_bytes(shapes: Shapes, plan: Plan) -> int:
    """One gradient for each value that learns, in that value's type."""
    return value_bytes(plan) * trainable(shapes, plan)


def optimizer_bytes(shapes: Shapes, plan: Plan) -> int:
    """The optimizer's states. Paged ones are counted in full: they leave the card only under
    pressure; without a card there is nothing to page."""
    tensors = learnt(shapes, plan)
    match plan.optimizer:
        case "adafactor":
            return sum(one.count * adafactor_bytes(one) for one in tensors)
        case "adamw_8bit" | "paged_adamw_8bit":
            states = sum(one.count * adamw_8bit_bytes(one) for one in tensors)
            return states + _EIGHT_BIT_CODES * any(map(_in_eight_bits, tensors))
        case "paged_adamw" if plan.on_gpu:
            return 8 * trainable(shapes, plan)
    return sum(one.count * adamw_bytes(one, value_bytes(plan)) for one in tensors)


def adamw_bytes(tensor: Tensor, each: int) -> int:
    """Two states a value, in the value's type, and the step (torch.optim.AdamW, fused)."""
    return 2 * each * prod(tensor.shape) + 4


def adamw_8bit_bytes(tensor: Tensor) -> int:
    """Two bytes a value and two scales for each 256; under 4096 values, and for embeddings, which
    the engine excepts, two states in fp32 (bitsandbytes, Optimizer2State.init_state)."""
    values = prod(tensor.shape)
    if not _in_eight_bits(tensor):
        return 8 * values
    return 2 * values + 8 * -(-values // _EIGHT_BIT_BLOCK)


def adafactor_bytes(tensor: Tensor) -> int:
    """The mean square of each row and of each column; of each value where there is but one
    dimension (arXiv 1804.04235; transformers.Adafactor, fp32), and the size of the weight."""
    if len(tensor.shape) < 2:
        return 4 * prod(tensor.shape) + 4
    *first, rows, columns = tensor.shape
    return 4 * prod(first) * (rows + columns) + 4


def _in_eight_bits(tensor: Tensor) -> bool:
    embeddings = tensor.name in ("embed_tokens.weight", "wpe.weight")
    return prod(tensor.shape) >= _EIGHT_BIT_LEAST and not embeddings
