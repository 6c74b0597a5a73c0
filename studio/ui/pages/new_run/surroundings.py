"""What a recipe is reckoned against: this machine or a card planned for, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from studio.core import calibration, cards
from studio.core.calibration import Calibration
from studio.core.cards import KnownCard
from studio.core.costs import Costs, costs
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import Estimate
from studio.core.recipe import Recipe
from studio.core.speed import Speed, speed_for


class Surroundings:
    """The facts around a draft. `machine` is this one, with the reserve of the settings."""

    def __init__(self) -> None:
        self.machine: Machine | None = None
        self.told: Machine | None = None
        """The target when it last made a difference to look at: the same object until then."""
        self._planned: KnownCard | None = None
        self.calibrations: Sequence[Calibration] = ()
        self.speeds: Sequence[Speed] = ()

    @property
    def planned(self) -> KnownCard | None:
        """The card that somebody plans for; None where it is this machine's."""
        return self._planned

    def plan_for(self, card: KnownCard | None) -> None:
        """Plan for this card, or None for this machine."""
        self._planned = card
        self.told = self.target

    @property
    def target(self) -> Machine | None:
        """The machine that the estimate is for: this one, or this one with another card."""
        if self.planned is None:
            return self.machine
        return cards.machine_with(self.planned, self.machine)

    def know(self, machine: Machine, reserve_bytes: int) -> bool:
        """The machine now; whether it makes a difference to look at."""
        before = self.machine
        self.machine = msgspec.structs.replace(machine, reserve_bytes=reserve_bytes)
        differs = _roughly(before) != _roughly(self.machine)
        if differs:
            self.told = self.target
        return differs

    def estimate(
        self, recipe: Recipe, model: ModelFacts | None, longest: int, advise: bool = False
    ) -> tuple[Estimate, float]:
        """What the recipe takes, and what was measured of runs like it by what was reckoned: 1.0
        where nothing was."""
        return calibration.with_ratio(
            recipe, model, self.target, longest, advise, kept=self._measured
        )

    def costs(
        self,
        recipe: Recipe,
        model: ModelFacts | None,
        report: DatasetReport | None,
        estimate: Estimate,
    ) -> Costs | None:
        """Time, disk, RAM and download; None without a model. `estimate` is of the same recipe."""
        if model is None:
            return None
        speed = speed_for(self.speeds, recipe, self.target, model.parameters)
        recomputed = estimate.assumed.get("gradient_checkpointing") == "yes"
        return costs(recipe, model, self.target, report, speed, checkpointing=recomputed)

    @property
    def _measured(self) -> Sequence[Calibration]:
        return () if self.planned else self.calibrations


def device_name(machine: Machine | None) -> str:
    """What a run would use, in a word or two."""
    if machine is None:
        return "Looking"
    if machine.gpu is None:
        return "Processor"
    return short_name(machine.gpu.name)


def short_name(card: str) -> str:
    """A card's name without what all of them have."""
    return card.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _roughly(machine: Machine | None) -> tuple[object, ...]:
    """What the estimate shows of a machine: free memory to 100 MB."""
    if machine is None:
        return ()
    free = [gpu.free_bytes for gpu in machine.gpus] or [machine.ram_free_bytes]
    names = tuple(gpu.name for gpu in machine.gpus)
    return names, machine.card, tuple(round(each / 1e8) for each in free), machine.reserve_bytes
