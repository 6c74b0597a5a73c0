"""What autograd keeps and makes, replayed with sizes alone: operations forward, then backward.

A tape is written like a model's forward pass; instead of numbers each value has bytes. What an
operation saves for its backward pass is kept until that is done; the backward pass goes through
the operations in reverse, makes gradients, adds up those that meet, and lets go of what was
saved, as torch's engine does (torch/csrc/autograd/engine.cpp, input_buffer.cpp).
"""

from __future__ import annotations

from collections.abc import Iterable

ACTIVATIONS, ATTENTION, LOGITS = "activations", "attention", "logits"


class Storage:
    """Bytes that are held once, however many values look at them; `part` says whose they are."""

    __slots__ = ("kept", "part", "size")

    def __init__(self, size: int, part: str = "") -> None:
        self.size = size
        self.part = part
        self.kept = 0


class Gradient:
    """A gradient's bytes, and how many values wait with it."""

    __slots__ = ("refs", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.refs = 0


class Value:
    """A tensor: its storage, its own bytes, the width of its numbers, whether it gets a gradient.

    A `leaf` is a weight: it is there before, and its gradient stays.
    """

    __slots__ = ("gradient", "leaf", "needs", "size", "storage", "width")

    def __init__(
        self, storage: Storage | None, size: int, width: int, needs: bool, leaf: bool = False
    ) -> None:
        self.storage = storage
        self.size = size
        self.width = width
        self.needs = needs
        self.leaf = leaf
        self.gradient: Gradient | None = None


class Operation:
    """One node of the graph: `works` bytes come and go inside its backward pass; `passes` says
    that its inputs' gradients are the output's own memory."""

    __slots__ = ("inputs", "outputs", "passes", "saved", "works")

    def __init__(
        self,
        inputs: tuple[Value, ...],
        outputs: tuple[Value, ...],
        saved: tuple[Storage, ...],
        works: int,
        passes: bool,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.saved = saved
        self.works = works
        self.passes = passes


class Tape:
    """Operations in the order of the forward pass. All figures are bytes."""

    def __init__(self, part: str = ACTIVATIONS) -> None:
        self.part = part
        self.kept: dict[str, int] = {}
        self.gradients = 0
        self._operations: list[Operation] = []

    def weight(self, size: int, width: int, trains: bool) -> Value:
        """A weight, which is there before."""
        return Value(None, size, width, trains, leaf=True)

    def given(self, size: int, width: int, needs: bool = True, part: str = "") -> Value:
        """A tensor from before that this tape's operations may keep, or make a gradient for."""
        return Value(Storage(size, part or self.part), size, width, needs)

    def do(
        self,
        size: int,
        width: int,
        inputs: tuple[Value, ...],
        saves: Iterable[Value] = (),
        works: int = 0,
        part: str = "",
        keeps: bool = False,
    ) -> Value:
        """An operation that makes a new tensor of `size` bytes; `keeps` it for its own backward
        pass too."""
        out = Value(Storage(size, part or self.part), size, width, False)
        return self._record(out, inputs, (*saves, out) if keeps else saves, works, False)

    def passing(self, inputs: tuple[Value, ...], width: int, size: int) -> Value:
        """A new tensor whose gradient is also that of the inputs: addition, a copy."""
        out = Value(Storage(size, self.part), size, width, False)
        return self._record(out, inputs, (), 0, True)

    def pieces(self, value: Value, sizes: tuple[int, ...]) -> tuple[Value, ...]:
        """Views that together are the value; its gradient is put together from theirs."""
        outs = tuple(Value(value.storage, size, value.width, value.needs) for size in sizes)
        if value.needs:
            self._operations.append(Operation((value,), outs, (), 0, False))
        return outs

    def cast(self, value: Value, width: int) -> Value:
        """The same numbers in another width: a copy, unless it is theirs already."""
        if value.width == width:
            return value
        return self.do(value.size // value.width * width, width, (value,))

    def backward(self, start: Value, kept_gradients: bool = False) -> int:
        """The most that is held at once, from the gradient of `start` on: what is kept now
        included, gradients of weights too unless those are there before (`kept_gradients`:
        then each is made beside the one it is added to)."""
        seed = Gradient(start.size)
        seed.refs = 1
        start.gradient = seed
        held = sum(self.kept.values()) + start.size
        most = held
        self.gradients = 0
        for operation in reversed(self._operations):
            held, top = self._undo(operation, held, kept_gradients)
            most = max(most, top)
        return most

    def _record(
        self,
        out: Value,
        inputs: tuple[Value, ...],
        saves: Iterable[Value],
        works: int,
        passes: bool,
    ) -> Value:
        learning = tuple(value for value in inputs if value.needs)
        if not learning:
            return out
        out.needs = True
        saved = tuple(value.storage for value in saves if value.storage is not None)
        for storage in saved:
            storage.kept += 1
            if storage.kept == 1:
                self.kept[storage.part] = self.kept.get(storage.part, 0) + storage.size
        self._operations.append(Operation(learning, (out,), saved, works, passes))
        return out

    def _undo(self, operation: Operation, held: int, kept_gradients: bool) -> tuple[int, int]:
        """Held after the operation's backward pass, and the most during it."""
        arrived = [out.gradient for out in operation.outputs if out.gradient is not None]
        made: list[Gradient] = []
        for value in operation.inputs:
            if operation.passes and arrived[0].size == value.size:
                made.append(arrived[0])
            else:
                made.append(Gradient(value.size))
                held += value.size
        most = held + operation.works
        for storage in operation.saved:
            storage.kept -= 1
            if not storage.kept:
                held -= storage.size
        for new in made:
            new.refs += 1
        for old in arrived:
            held -= self._drop(old)
        for out in operation.outputs:
            out.gradient = None
        for value, new in zip(operation.inputs, made, strict=True):
            held, top = self._meet(value, new, held, kept_gradients)
            most = max(most, top)
        return held, most

    def _meet(
        self, value: Value, new: Gradient, held: int, kept_gradients: bool
    ) -> tuple[int, int]:
        """A gradient arrives at a value; where one waits already they are added up, in place if
        nobody else looks at it."""
        if value.leaf:
            self.gradients += value.size
            return (held - self._drop(new) if kept_gradients else held), held
        old = value.gradient
        if old is None:
            value.gradient = new
            return held, held
        if old.refs == 1:
            return held - self._drop(new), held
        both = Gradient(value.size)
        both.refs = 1
        value.gradient = both
        top = held + value.size
        return top - self._drop(old) - self._drop(new), top

    @staticmethod
    def _drop(gradient: Gradient) -> int:
        """Bytes that are free once one fewer looks at the gradient."""
        gradient.refs -= 1
        return 0 if gradient.refs else gradient.size
