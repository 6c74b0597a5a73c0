"""Where everything lies in the card's memory: others, the run's parts, its upper bound, reserve."""

from __future__ import annotations

from dataclasses import dataclass, field

from studio.core.facts import Machine
from studio.core.memory import Estimate
from studio.ui.pages.new_run.fit.words import COLORS, OTHERS, RESERVE


@dataclass(frozen=True)
class Room:
    """All bytes. `others` lie first, then the run's `parts`, then `spread` up to the upper bound;
    the reserve is kept at the far end."""

    total: int = 0
    others: int = 0
    reserve: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    spread: int = 0

    @property
    def whole(self) -> int:
        """What the bar is as wide as: the memory, or what was asked of it where that is more."""
        return max(self.total, self.upper, 1)

    @property
    def expected(self) -> int:
        """Where the run is expected to end."""
        return self.others + sum(self.parts.values())

    @property
    def upper(self) -> int:
        """Where it should end at most."""
        return self.expected + self.spread

    @property
    def limit(self) -> int:
        """Where the reserve begins."""
        return max(0, self.total - self.reserve)

    def at(self, place: int) -> str:
        """The name of what lies at this byte: a part, OTHERS, RESERVE, or "" for what is free."""
        if place < self.others:
            return OTHERS
        left = self.others
        for name, size in self.parts.items():
            left += size
            if place < left:
                return name
        return RESERVE if self.reserve and self.limit <= place < self.total else ""


def room_of(estimate: Estimate, machine: Machine | None) -> Room:
    """The estimate laid out in the memory of the device that the run would use."""
    parts = {name: estimate.parts[name] for name in COLORS if estimate.parts.get(name)}
    total, free = memory_of(machine)
    return Room(
        total=total,
        others=max(0, total - free),
        reserve=min(machine.reserve_bytes, total) if machine else 0,
        parts=parts,
        spread=max(0, estimate.needed_bytes - sum(parts.values())),
    )


def memory_of(machine: Machine | None) -> tuple[int, int]:
    """Total and free bytes of the device that a run would use: the card, or the system."""
    if machine is None:
        return 0, 0
    if machine.gpu is not None:
        return machine.gpu.total_bytes, machine.gpu.free_bytes
    return machine.ram_total_bytes, machine.ram_free_bytes
