"""What autograd keeps and makes, replayed with sizes alone: operations forward, then backward.

A tape is written like a model's forward pass; instead of numbers each value has bytes. What an
operation saves for its backward pass is kept until that is done; the backward pass goes through
the operations in reverse, makes gradients, adds up those that meet, and lets go of what was
saved, as torch's engine does (torch/csrc/autograd/engine.cpp, input_buffer.cpp). What is saved in
system memory (offloading.py) comes back for the operation that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

ACTIVATIONS, ATTENTION, LOGITS = "activations", "attention", "logits"


class Storage:
    """Bytes that are held once, however many values look at them; `part` says whose they are,
    `away` that a copy is in system memory."""

    __slots__ = ("away", "kept", "part", "size")

    def __init__(self, size: int, part: str = "") -> None:
        self.size = size
        self.part = part
        self.kept = 0
        self.away = False


class Gradient:
    """A gradient's bytes, and how many values wait with it."""

    __slots__ = ("refs", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.refs = 0


class Value:
    """A tensor: its storage, its own bytes, the width of its numbers, whether it gets a gradient.

    A `leaf` is a weight: it is there before, and its gradient stays. What is `made` of values that
    are kept anyway can be made again from them.
    """

    __slots__ = ("gradient", "leaf", "made", "needs", "size", "storage", "width")

    def __init__(
        self, storage: Storage | None, size: int, width: int, needs: bool, leaf: bool = False
    ) -> None:
        self.storage = storage
        self.size = size
        self.width = width
        self.needs = needs
        self.leaf = leaf
        self.gradient: Gradient | None = None
        self.made: tuple[Value, ...] = ()


class Operation:
    """One node of the graph: `works` bytes come and go inside its backward pass; `passes` says
    that its inputs' gradients are the output's own memory; what is `away` comes back for it."""

    __slots__ = ("away", "inputs", "outputs", "passes", "saved", "works")

    def __init__(
        self,
        inputs: tuple[Value, ...],
        outputs: tuple[Value, ...],
        saved: tuple[Storage, ...],
        works: int,
        passes: bool,
        away: frozenset[Storage] = frozenset(),
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.saved = saved
        self.away = away
        self.works = works
        self.passes = passes


class Tape:
    """Operations in the order of the forward pass. All figures are bytes.

    What is kept of at least `offload` bytes goes to system memory (0: nothing does); `away` are
    the sizes of what went.
    """

    def __init__(self, part: str = ACTIVATIONS, offload: int = 0) -> None:
        self.part = part
        self.offload = offload
        self.kept: dict[str, int] = {}
        self.away: list[int] = []
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

    def backward(
        self, start: Value, kept_gradients: bool = False, update: Callable[[int], int] | None = None
    ) -> int:
        """The most that is held at once, from the gradient of `start` on: what is kept now
        included, gradients of weights too unless those are there before (`kept_gradients`:
        then each is made beside the one it is added to). With `update`, which says what the update
        of a weight with a gradient of so many bytes needs, each is used up where it is made."""
        seed = Gradient(start.size)
        seed.refs = 1
        start.gradient = seed
        held = sum(self.kept.values()) + start.size
        most = held
        self.gradients = 0
        for operation in reversed(self._operations):
            held, top = self._undo(operation, held, kept_gradients, update)
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
        every = [value.storage for value in saves if value.storage is not None]
        away = frozenset(one for one in every if 0 < self.offload <= one.size)
        saved = tuple(one for one in every if one not in away)
        for storage in saved:
            storage.kept += 1
            if storage.kept == 1:
                self.kept[storage.part] = self.kept.get(storage.part, 0) + storage.size
        for storage in away:
            self.away += [] if storage.away else [storage.size]
            storage.away = True
        self._operations.append(Operation(learning, (out,), saved, works, passes, away))
        return out

    def _undo(
        self,
        operation: Operation,
        held: int,
        kept_gradients: bool,
        update: Callable[[int], int] | None,
    ) -> tuple[int, int]:
        """Held after the operation's backward pass, and the most during it."""
        arrived = [out.gradient for out in operation.outputs if out.gradient is not None]
        made: list[Gradient] = []
        for value in operation.inputs:
            if operation.passes and arrived[0].size == value.size:
                made.append(arrived[0])
            else:
                made.append(Gradient(value.size))
                held += value.size
        most = held + operation.works + sum(one.size for one in operation.away if not one.kept)
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
            if value.leaf and update:
                most = max(most, held + update(value.size))
            held, top = self._meet(value, new, held, kept_gradients or update is not None)
            most = max(most, top)
        return held, most

    def _meet(self, value: Value, new: Gradient, held: int, used: bool) -> tuple[int, int]:
        """A gradient arrives at a value; where one waits already they are added up, in place if
        nobody else looks at it. A weight's stays unless it is `used` at once."""
        if value.leaf:
            self.gradients += value.size
            return (held - self._drop(new) if used else held), held
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
