"""One decoder layer as operations on sizes, for every architecture that is known.

The order is that of transformers 5.23 (models/*/modeling_*.py, DecoderLayer.forward).
"""

from __future__ import annotations

from studio.core.sizing import experts, pieces
from studio.core.sizing.attention import attention
from studio.core.sizing.plan import Plan
from studio.core.sizing.products import dropout, linear
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.tape import Tape, Value


class Layer:
    """Writes the layer onto a tape. `sparse` ones have experts; `window` is in tokens, 0 none."""

    def __init__(self, shapes: Shapes, plan: Plan, window: int = 0, sparse: bool = False) -> None:
        self.shapes, self.plan, self.window, self.sparse = shapes, plan, window, sparse
        self._attention = [one for one in shapes.linears if one.role == "attention"]
        feed = [one for one in shapes.linears if one.role == "mlp"]
        many = 3 if shapes.gated and not shapes.fused_gate else 2
        dense = feed[:many] if shapes.sparse_layers < shapes.layers else []
        self._feed = feed[-many:] if sparse and shapes.shared_intermediate else dense
        self._gate = next((one for one in shapes.linears if one.role == "gate"), None)

    def onto(self, tape: Tape, value: Value) -> Value:
        """The layer's result for an input of (tokens, hidden)."""
        shapes = self.shapes
        if shapes.parallel:
            return self._parallel(tape, value)
        post = shapes.kind in ("olmo2", "exaone4")
        inner = self._attend(tape, value if post else self._norm(tape, value))
        inner = self._norm(tape, inner) if post or shapes.norms == 4 else inner
        value = pieces.plus(tape, value, self._residual(tape, inner))
        inner = self._feed_forward(tape, value if post else self._norm(tape, value))
        inner = self._norm(tape, inner) if post or shapes.norms == 4 else inner
        return pieces.plus(tape, value, self._residual(tape, inner))

    def _parallel(self, tape: Tape, value: Value) -> Value:
        """Attention and feed-forward of the same input, through one norm or one each."""
        first = self._norm(tape, value)
        attended = self._residual(tape, self._attend(tape, first))
        second = self._norm(tape, value) if self.shapes.norms == 2 else first
        fed = self._residual(tape, self._feed_forward(tape, second))
        return pieces.plus(tape, pieces.plus(tape, attended, fed), value)

    def _norm(self, tape: Tape, value: Value) -> Value:
        return pieces.norm(tape, self.plan, value, self.shapes.norm, self.shapes.hidden)

    def _residual(self, tape: Tape, value: Value) -> Value:
        return dropout(tape, self.plan, value, self.shapes.residual_dropout)

    def _attend(self, tape: Tape, value: Value) -> Value:
        shapes, plan = self.shapes, self.plan
        *inward, outward = self._attention
        qkv = [linear(tape, plan, value, one) for one in inward]
        if shapes.fused_qkv:
            qkv = self._split(tape, qkv[0])
        query, key, values = qkv
        if shapes.qk_norm:
            query, key = self._qk_norm(tape, query), self._qk_norm(tape, key)
        if shapes.rotary:
            share = shapes.rotary / shapes.head_dim
            query, key = pieces.turned(tape, query, share), pieces.turned(tape, key, share)
        out = attention(tape, plan, shapes, (query, key, values), self.window)
        return linear(tape, plan, out, outward)

    def _split(self, tape: Tape, value: Value) -> list[Value]:
        heads = self.shapes.heads + 2 * self.shapes.kv_heads
        size = value.size // heads
        keys = size * self.shapes.kv_heads
        return list(tape.pieces(value, (size * self.shapes.heads, keys, keys)))

    def _qk_norm(self, tape: Tape, value: Value) -> Value:
        width = value.size // value.width // self.plan.tokens
        width = width if self.shapes.qk_norm == "all" else self.shapes.head_dim
        return pieces.norm(tape, self.plan, value, self.shapes.norm, width)

    def _feed_forward(self, tape: Tape, value: Value) -> Value:
        if not self.sparse:
            return self._dense(tape, value)
        if not self._feed or self._gate is None:
            return experts.routed(tape, self.plan, self.shapes, value)
        made = self._dense(tape, value)
        routed = experts.routed(tape, self.plan, self.shapes, value)
        return pieces.plus(tape, routed, experts.shared(tape, self.plan, value, self._gate, made))

    def _dense(self, tape: Tape, value: Value) -> Value:
        plan, kind = self.plan, self.shapes.activation
        *inward, outward = self._feed
        inner = [linear(tape, plan, value, one) for one in inward[:1]]
        if self.shapes.fused_gate:
            inner = list(tape.pieces(inner[0], (inner[0].size // 2,) * 2))
        if len(inward) == 2:
            inner.append(linear(tape, plan, value, inward[1]))
            made = pieces.gate(tape, plan, inner[0], inner[1], kind)
        else:
            made = pieces.activation(tape, plan, inner[0], kind)
            made = pieces.times(tape, made, inner[1]) if len(inner) == 2 else made
        return linear(tape, plan, made, outward)
