"""Make it fit: the fewest and mildest changes after which a run fits, each said with its price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from studio.core import memory
from studio.core.choices import NF4_CAPABILITY
from studio.core.facts import Machine, ModelFacts
from studio.core.lengths import Lengths
from studio.core.memory import Estimate, Ways
from studio.core.recipe import Recipe
from studio.core.savings import Lever, Setting, Step, changed, levers

Reckon = Callable[[Recipe], Estimate]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One field changed, in words, and what that costs.

    `saves_bytes` is how much more the run would need without this change alone; negative where a
    change makes use of room.
    """

    field: str
    value: Any
    text: str
    saves_bytes: int
    costs: str


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe, what was changed in it, what it takes now, and whether that fits.

    Where nothing makes it fit, the recipe is the smallest that was found.
    """

    recipe: Recipe
    changes: tuple[Change, ...]
    estimate: Estimate
    fits: bool


def make_it_fit(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None,
    longest: int = 0,
    *,
    lengths: Lengths | None = None,
    ways: Ways = Ways(),
    calibration: float = 1.0,
    card: int | None = None,
) -> Fitted:
    """The recipe with as few and as mild changes as make it fit; a recipe that fits stays as it is.

    Changes are tried in the order of `savings.levers`, each on top of those before; then those
    that turn out not to be needed are taken back, the dearest first. `longest` is the longest
    row's tokens, `lengths` those of all rows, where they are known. The rows of an optimizer step
    stay. Without a machine, or for an unknown architecture, nothing is changed.
    """
    if lengths and not longest:
        longest = lengths.fits(1.0)

    def reckon(other: Recipe) -> Estimate:
        return memory.estimate(
            other, model, machine, longest, False, ways=ways, calibration=calibration, card=card
        )

    first = reckon(recipe)
    if first.verdict in ("fits", "unknown"):
        return Fitted(recipe=recipe, changes=(), estimate=first, fits=first.verdict == "fits")
    search = _Search(recipe, levers(recipe, _setting(first, machine, lengths, card)), reckon)
    search.run()
    return search.result()


def make_use_of(
    recipe: Recipe,
    model: ModelFacts | None,
    machine: Machine | None,
    longest: int = 0,
    *,
    ways: Ways = Ways(),
    calibration: float = 1.0,
    card: int | None = None,
    most: int = 0,
) -> Fitted:
    """The other way: what room that is left could be used for, as long as the run still fits.

    A 16-bit base, activations kept on the card, states in 32 bits, larger micro-batches; at `most`
    so many of them (0: all). A recipe that doesn't fit, or with nothing to gain, comes back as it
    is.
    """

    def reckon(other: Recipe) -> Estimate:
        return memory.estimate(
            other, model, machine, longest, False, ways=ways, calibration=calibration, card=card
        )

    estimate, changes = reckon(recipe), list[Change]()
    fits = estimate.verdict == "fits"
    for field, step in _uses(recipe, estimate) if fits else ():
        if most and len(changes) == most:
            break
        more = changed(recipe, field, step.value)
        taking = reckon(more)
        if taking.verdict == "fits":
            changes = [change for change in changes if change.field != field]
            changes.append(_change(field, step, estimate.needed_bytes - taking.needed_bytes))
            recipe, estimate = more, taking
    return Fitted(recipe=recipe, changes=tuple(changes), estimate=estimate, fits=fits)


def _uses(recipe: Recipe, estimate: Estimate) -> Iterator[tuple[str, Step]]:
    training = recipe.training
    if recipe.method == "qlora":
        text = "LoRA: the base in 16 bits instead of 4"
        yield "method", _use("lora", text, "Faster steps, and nothing is lost to rounding.")
    if training.gradient_checkpointing == "yes":
        text = "Gradient checkpointing off: activations are kept"
        yield "training.gradient_checkpointing", _use("no", text, "The same result, faster.")
    if training.optimizer in ("adamw_8bit", "paged_adamw_8bit"):
        text = "The optimizer's states in 32 bits instead of 8"
        yield "training.optimizer", _use("adamw", text, "Exact states; about as fast.")
    if training.offload_activations:
        text = "Activations stay on the card instead of in system memory"
        yield "training.offload_activations", _use(False, text, "The same result, faster.")
    rows, batch = training.micro_batch_size, training.batch_size
    for size in range(rows + 1, batch + 1) if rows else ():
        if batch % size == 0:
            text = f"Micro-batch {rows} → {size}"
            yield "training.micro_batch_size", _use(size, text, "The same result, faster.")


def _use(value: Any, text: str, costs: str) -> Step:
    return Step(value=value, text=text, do=text, costs=costs)


def _setting(
    found: Estimate, machine: Machine | None, lengths: Lengths | None, card: int | None
) -> Setting:
    gpu = memory.card_of(machine, card)
    capability = gpu.compute_capability if gpu else None
    return Setting(
        rows=int(found.assumed["micro_batch"]),
        length=int(found.assumed["length"]),
        on_gpu=gpu is not None,
        nf4=capability is None or capability >= NF4_CAPABILITY,
        lengths=lengths,
    )


class _Search:
    """How far each lever is moved: 0 is not at all, n its n-th step."""

    def __init__(self, recipe: Recipe, choices: tuple[Lever, ...], reckon: Reckon) -> None:
        self._recipe, self._levers, self._reckon = recipe, choices, reckon
        self._at = (0,) * len(choices)
        self._seen: dict[tuple[int, ...], Estimate] = {}

    def run(self) -> None:
        """Move levers until the run fits or nothing helps any more; take back what isn't needed."""
        before = None
        while self._at != before and not self._fits(self._at):
            before = self._at
            self._move_on()
        enough = self._need(self._at)
        if self._fits(self._at):
            enough = self._estimate(self._at).available_bytes
        self._take_back(enough)

    def result(self) -> Fitted:
        """The recipe as it is now, and its changes."""
        found = self._estimate(self._at)
        moved = [place for place, step in enumerate(self._at) if step]
        return Fitted(
            recipe=self._changed(self._at),
            changes=tuple(self._change(place) for place in moved),
            estimate=found,
            fits=self._fits(self._at),
        )

    def _move_on(self) -> None:
        for place, lever in enumerate(self._levers):
            for step in range(self._at[place] + 1, len(lever.steps) + 1):
                other = self._with(place, step)
                if self._need(other) <= self._need(self._at):
                    self._at = other
                if self._fits(self._at):
                    return

    def _take_back(self, enough: int) -> None:
        for place in reversed(range(len(self._levers))):
            for step in range(self._at[place]):
                other = self._with(place, step)
                if self._need(other) <= enough:
                    self._at = other
                    break

    def _change(self, place: int) -> Change:
        lever = self._levers[place]
        saved = self._need(self._with(place, 0)) - self._need(self._at)
        return _change(lever.field, lever.steps[self._at[place] - 1], saved)

    def _with(self, place: int, step: int) -> tuple[int, ...]:
        return (*self._at[:place], step, *self._at[place + 1 :])

    def _changed(self, at: tuple[int, ...]) -> Recipe:
        recipe = self._recipe
        for lever, step in zip(self._levers, at, strict=True):
            if step:
                recipe = changed(recipe, lever.field, lever.steps[step - 1].value)
        return recipe

    def _estimate(self, at: tuple[int, ...]) -> Estimate:
        if at not in self._seen:
            self._seen[at] = self._reckon(self._changed(at))
        return self._seen[at]

    def _need(self, at: tuple[int, ...]) -> int:
        return self._estimate(at).needed_bytes

    def _fits(self, at: tuple[int, ...]) -> bool:
        return self._estimate(at).verdict == "fits"


def _change(field: str, step: Step, saved: int) -> Change:
    return Change(
        field=field, value=step.value, text=step.text, saves_bytes=saved, costs=step.costs
    )
