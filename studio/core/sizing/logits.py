"""What the logits and the loss take, by the way they are computed."""

from __future__ import annotations

from collections.abc import Callable

from studio.core.sizing.pieces import norm
from studio.core.sizing.plan import Plan
from studio.core.sizing.products import product
from studio.core.sizing.shapes import Shapes
from studio.core.sizing.tape import LOGITS, Tape, Value

# Values of logits that the studio's loss makes at a time: on a card or of a frozen head, of one
# that learns on a processor; and of their shares on a processor (engine/loss.py).
LARGE_CHUNK, CHUNK, SLICE = 1 << 24, 1 << 23, 1 << 21
_WIDE, _INDEX = 4, 8


class Tail:
    """The last norm, lm_head and the loss. `kept` is by part, after the forward pass; `forward` is
    the most bytes in the forward pass, `backward` in the backward pass, each with what is kept;
    `gradients` those of weights; `away` are the sizes of what is kept in system memory. `update`
    is Tape.backward's."""

    def __init__(
        self, shapes: Shapes, plan: Plan, stream: int, update: Callable[[int], int] | None = None
    ) -> None:
        self._shapes, self._plan = shapes, plan
        tape = Tape(offload=plan.offload)
        value = tape.given(plan.tokens * shapes.hidden * stream, stream)
        hidden = norm(tape, plan, value, shapes.norm, shapes.hidden)
        tape.part, tape.offload = LOGITS, 0
        loss = self._whole(tape, hidden) if whole(shapes, plan) else self._chunked(tape, hidden)
        self.kept = dict(tape.kept)
        self.forward = sum(self.kept.values()) + self._above
        works = self._works
        self.away = tuple(tape.away)
        self.backward = tape.backward(loss, plan.accumulating) + works
        if update and not shapes.tied:
            head = shapes.vocabulary * shapes.hidden * plan.weight_bytes
            rows = self.learnt * shapes.hidden * hidden.width
            updated = sum(self.kept.values()) + rows + head + update(head)
            self.backward = max(self.backward, updated)
        self.gradients = tape.gradients

    @property
    def learnt(self) -> int:
        """Tokens whose logits are made."""
        return self._plan.learnt or self._plan.rows * (self._plan.length - 1)

    def _chunked(self, tape: Tape, hidden: Value) -> Value:
        """This studio's loss: hidden states of learnt tokens, and logits a chunk at a time.

        A frozen head's gradient is made in the forward pass. One that learns, or has a bias, makes
        each chunk again in the backward pass: log-softmax and two gradients in float32, or the
        head's own gradient, which comes beside the one of the chunks before.
        """
        shapes, plan = self._shapes, self._plan
        compute = plan.compute_bytes if plan.autocast else hidden.width
        width = shapes.hidden
        size = self.learnt * width * hidden.width
        rows = tape.do(size, hidden.width, tape.pieces(hidden, (hidden.size,)))
        frozen = not (plan.full or shapes.head_bias)
        chunk = _rows(shapes, plan, self.learnt, frozen)
        logits, head = chunk * shapes.vocabulary, shapes.vocabulary * width
        if frozen:
            made = tape.given(self.learnt * width * compute, compute)
            copied = made.size if compute != hidden.width else 0
            shares = _slice(shapes, plan, chunk) * shapes.vocabulary * _WIDE
            self._above = hidden.size + rows.size + copied + logits * compute + shares
            self._works = 0
            return tape.do(_WIDE, _WIDE, (rows,), (made,))
        copy = head * compute if compute != plan.weight_bytes else 0
        own = head * plan.weight_bytes if plan.full else 0
        first = copy if own and copy else own  # the copy's gradient is made wide at the end
        waiting = first if chunk < self.learnt else 0
        self._above = hidden.size + logits * (2 * _WIDE) + copy
        lost = waiting + max(logits * 3 * _WIDE, logits * compute + first)
        self._works = max(lost, first + own) + copy
        weight = tape.weight(own, plan.weight_bytes, plan.full)
        loss = tape.do(_WIDE, _WIDE, (rows, weight), (rows,))
        self._works -= min(self._works, rows.size + weight.size)
        return loss

    def _whole(self, tape: Tape, hidden: Value) -> Value:
        """The model's own logits, capped in Gemma 2, then in float32, then their log-softmax."""
        shapes, plan = self._shapes, self._plan
        head, width = shapes.hidden, shapes.vocabulary
        logits = product(tape, plan, hidden, head, width, plan.weight_bytes, plan.full)
        made = logits
        if shapes.logits_cap:
            logits = tape.do(logits.size, logits.width, (logits,))
            logits = tape.do(logits.size, logits.width, (logits,), keeps=True)
            logits = tape.do(logits.size, logits.width, (logits,))
        (view,) = tape.pieces(logits, (logits.size,))
        wide = tape.cast(view, plan.loss_bytes)
        if wide is view:
            wide = tape.passing((view,), view.width, view.size)
        self._above = hidden.size + wide.size + (made.size if made.width == wide.width else 0)
        self._works = made.size if plan.peft else 0  # the model's output is held till the end
        shares = tape.do(wide.size, wide.width, (wide,), keeps=True)
        return tape.do(_WIDE, _WIDE, (shares,), (shares,))


def whole(shapes: Shapes, plan: Plan) -> bool:
    """Whether all logits are there at once: as asked, or because they are capped or scaled."""
    return plan.logits == "full" or bool(shapes.logits_cap) or shapes.kind == "granite"


def evaluation(shapes: Shapes, plan: Plan) -> int:
    """The most bytes while a loss without gradients is computed: logits, and beside them their
    shares in float32, or in place of them two copies in float32."""
    tokens, wide = plan.tokens, plan.loss_bytes
    if whole(shapes, plan):
        several = 2 * wide + (wide if plan.compute_bytes == wide else 0)
        return tokens * shapes.vocabulary * several
    frozen = not (plan.full or shapes.head_bias)
    chunk = _rows(shapes, plan, tokens, frozen)
    if not frozen:
        return chunk * shapes.vocabulary * 2 * _WIDE
    shares = _slice(shapes, plan, chunk) * _WIDE
    rows = tokens * shapes.hidden * plan.compute_bytes
    return shapes.vocabulary * (chunk * plan.compute_bytes + shares) + rows


def _rows(shapes: Shapes, plan: Plan, most: int, frozen: bool) -> int:
    """Tokens whose logits are there at once, of a head that is frozen or one that learns."""
    values = LARGE_CHUNK if plan.on_gpu or frozen else CHUNK
    return min(most, max(16, values // shapes.vocabulary))


def _slice(shapes: Shapes, plan: Plan, chunk: int) -> int:
    """Tokens of these whose shares are there at once."""
    return chunk if plan.on_gpu else min(chunk, max(16, SLICE // shapes.vocabulary))
