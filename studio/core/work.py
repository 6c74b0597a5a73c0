"""How many floating-point operations training takes, counted over its matrix products.

A product of (n, inputs) with (inputs, outputs) is 2 x n x inputs x outputs operations; going
backward takes as many again for the gradient of its input, and for that of its weight where that
learns (Kaplan et al., arXiv 2001.08361, section 2.1: 2 P forward and 4 P backward a token). So full
fine-tuning takes 6 P, an adapter 4 P and its own 6, and recomputing activations 2 P more. What is
computed value by value is left out, as such counts do.
"""

from __future__ import annotations

import msgspec

from studio.core.sizing.plan import Plan
from studio.core.sizing.shapes import Shapes


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows to be learnt from. `tokens` of all, `trained` of them learnt; `squares` is the sum of
    the rows' lengths squared, which attention goes by."""

    tokens: float
    trained: float
    squares: float

    def times(self, factor: float) -> Rows:
        """So many of the like."""
        return Rows(
            tokens=self.tokens * factor,
            trained=self.trained * factor,
            squares=self.squares * factor,
        )


def training(shapes: Shapes, plan: Plan, rows: Rows) -> float:
    """Operations of learning from these rows once: forward, backward, recomputed."""
    again = 1 if plan.checkpointing else 0
    layers = 2 * layer_values(shapes) * rows.tokens * (2 + again + plan.full)
    layers -= 2 * _spared(shapes, plan) * rows.tokens
    adapter = 2 * _adapter_values(shapes, plan) * rows.tokens * (3 + again)
    attention = _attention(shapes, rows) * (1 + _attention_back(plan) + again)
    return layers + adapter + attention + _head(shapes, plan, rows)


def evaluation(shapes: Shapes, plan: Plan, rows: Rows) -> float:
    """Operations of looking at these rows: forward alone."""
    values = layer_values(shapes) + _adapter_values(shapes, plan)
    logits = 2 * shapes.hidden * shapes.vocabulary * rows.trained
    return 2 * values * rows.tokens + _attention(shapes, rows) + logits


def layer_values(shapes: Shapes) -> int:
    """Weights of the decoder's layers that one token goes through: of a mixture's experts those
    that it is sent to."""
    sides = 3 if shapes.gated else 2
    chosen = shapes.experts_per_token * shapes.expert_intermediate * shapes.hidden * sides
    router = shapes.experts * shapes.hidden
    return shapes.linear + shapes.sparse_layers * (chosen + router)


def _attention(shapes: Shapes, rows: Rows) -> float:
    """Scores and their sum over values: each token with every other of its row."""
    return 4 * shapes.layers * shapes.heads * shapes.head_dim * rows.squares


def _attention_back(plan: Plan) -> float:
    """Passes going backward: twice two products, and the scores once more where they aren't kept
    (FlashAttention-2, arXiv 2307.08691)."""
    return 2.0 if plan.attention == "eager" else 2.5


def _adapter_values(shapes: Shapes, plan: Plan) -> int:
    if plan.full:
        return 0
    targeted = shapes.targeted(plan.targets)
    return plan.rank * sum((one.inputs + one.outputs) * one.count for one in targeted)


def _spared(shapes: Shapes, plan: Plan) -> int:
    """Weights through which one pass isn't needed. Below an adapter's first layer nothing learns,
    so no gradient is passed on. Recomputing a layer ends with the last thing that is looked at
    again (torch.utils.checkpoint, early stop), which its last product is not where all learns."""
    if not plan.full:
        return _input_values(shapes)
    last = [one for one in shapes.linears if one.role == "mlp"][-1:]
    return sum(one.values for one in last) if plan.checkpointing else 0


def _input_values(shapes: Shapes) -> int:
    """Weights of the first layer that read what is embedded."""
    attention = [one for one in shapes.linears if one.role == "attention"]
    reading = [one for one in attention[:-1] if one.inputs == shapes.hidden]
    if shapes.parallel:
        reading += [one for one in shapes.linears if one.role == "mlp"][:-1]
    return sum(one.inputs * one.outputs for one in reading)


def _head(shapes: Shapes, plan: Plan, rows: Rows) -> float:
    """Logits and the gradient of what they are made of. In chunks they are made at trained tokens
    alone, and where the head learns once more going backward; else at every token, and kept."""
    chunked = plan.logits == "chunked"
    passes = 2 + plan.full * (1 + chunked)
    tokens = rows.trained if chunked else rows.tokens
    return 2.0 * shapes.hidden * shapes.vocabulary * tokens * passes
