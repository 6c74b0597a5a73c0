"""Figures of exports as tests/benchmarks/passports.py measures them, and what tolerances make of
them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from studio.core import passport as core

TABLE = Path(__file__).parents[1] / "fixtures" / "passports.jsonl"
HONEST = "honest"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What one export came to. `agreement` is by the ties of TIES, `nearer` how much further the
    nearest wrong strength of the adapter is than the right one, `precision` whose tolerances hold,
    `rounded` those of held-out loss where they are others.
    """

    adapter: str
    kind: str
    case: str
    precision: str
    rounded: str = ""
    positions: int
    agreement: dict[str, float]
    kl: float
    kl_bare: float | None
    greedy: float
    nearer: float
    strength: float
    loss: float | None
    loss_live: float | None
    loss_trained: float | None
    loss_bare: float | None
    seconds: float

    @property
    def kept(self) -> float:
        """The share of what training brought on held-out rows that the export has."""
        if self.loss is None or self.loss_trained is None or self.loss_bare is None:
            return float("nan")
        return (self.loss_bare - self.loss) / (self.loss_bare - self.loss_trained)

    def near(self, tie: float) -> float:
        """The agreement with the widest of the measured ties that isn't wider than this one."""
        return max(share for each, share in self.agreement.items() if float(each) <= tie)


def read(table: Path) -> list[Line]:
    """The lines of a table; none where there is no such file."""
    if not table.is_file():
        return []
    return [msgspec.json.decode(line, type=Line) for line in table.read_bytes().splitlines()]


def failing(line: Line) -> list[str]:
    """What the tolerances as they are say of figures that were measured before."""
    limits = core.TOLERANCES[line.precision]
    of_loss = core.TOLERANCES[line.rounded or line.precision]
    wrong: dict[str, Callable[[], bool]] = {
        "agreement": lambda: line.near(limits.tie) < limits.agreement,
        "kl": lambda: line.kl > core.kl_allowed(line.kl_bare, line.loss, limits),
        "greedy": lambda: line.greedy < limits.greedy,
        "strength": lambda: line.nearer < 1.0,
        "loss": lambda: (
            line.loss is not None
            and line.loss_trained is not None
            and line.loss > core.loss_allowed(line.loss_trained, line.loss_bare, of_loss)
        ),
    }
    return [name for name, is_wrong in wrong.items() if is_wrong()]
