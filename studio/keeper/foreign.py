"""How much of the cards' memory other programs took since training began."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from studio.keeper.engine import Engine
from studio.keeper.machine import CardUse
from studio.keeper.ours import Ours

SETTLE_SECONDS = 20.0
"""After an engine came or went: a conversation doesn't say when it has loaded its model."""


class Foreign:
    """Compares with a baseline, the least that others held of each card since it was begun: what
    the desktop holds all the time is no game, and neither is a game that ran already. Only the
    cards that training was last seen on count.

    Where the driver names no process's memory (Windows), processes that don't exist here (a
    container) or none at all (WSL), it is what the card has in use less what the engines report to
    hold. That is only known while they train, and the baseline follows every engine that comes or
    goes.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self.baseline: dict[str, int] = {}
        self._pace = pace
        self._list_is_wrong = False
        self._settled_at = 0.0
        self._engines: set[int | None] = set()
        self._ours_on: set[int] = set()
        self._marked = Ours()

    def grown(
        self, uses: Sequence[CardUse], engines: Sequence[Engine], now: float, held: bool
    ) -> int | None:
        """The most that others took of one card, in bytes; None where it can't be known now.
        `held`: they are known to have taken it, so the baseline stays."""
        self._note_engines(engines, now, held)
        found = self._by_process(uses, engines) or self._by_rest(uses, engines, now)
        other_way = _rest(found) != _rest(self.baseline)
        if not found or (held and other_way and self.baseline):
            return None
        if other_way:
            self.baseline = {}
        for card, taken in found.items():
            self.baseline[card] = min(taken, self.baseline.get(card, taken))
        return max(taken - self.baseline[card] for card, taken in found.items())

    def restore(self, baseline: dict[str, int]) -> None:
        """Go on from what an earlier keeper found."""
        self.baseline = dict(baseline)
        self._list_is_wrong = _rest(baseline)

    def _note_engines(self, engines: Sequence[Engine], now: float, held: bool) -> None:
        at_work = {engine.pid for engine in engines}
        if at_work == self._engines:
            return
        self._engines = at_work
        if not held:
            self._settled_at = now + SETTLE_SECONDS * self._pace
            if _rest(self.baseline):
                self.baseline = {}

    def _by_process(self, uses: Sequence[CardUse], engines: Sequence[Engine]) -> dict[str, int]:
        """The bytes of others' processes on each card; empty where the list can't be trusted."""
        listed = {pid for use in uses for pid in use.processes}
        ours = {pid for pid in listed if self._is_ours(pid, engines)}
        hidden = any(bytes is None for use in uses for bytes in use.processes.values())
        doubtful = hidden or not all(map(psutil.pid_exists, listed))
        if any(engine.state.vram_bytes for engine in engines):
            self._list_is_wrong = doubtful or not ours
        if self._list_is_wrong or doubtful:
            return {}
        on = {card for card, use in enumerate(uses) if ours.intersection(use.processes)}
        self._ours_on = on or self._ours_on
        return {
            str(card): sum(taken or 0 for pid, taken in use.processes.items() if pid not in ours)
            for card, use in enumerate(uses)
            if not self._ours_on or card in self._ours_on
        }

    def _by_rest(
        self, uses: Sequence[CardUse], engines: Sequence[Engine], now: float
    ) -> dict[str, int]:
        training = [engine.state for engine in engines if engine.kind == "train"]
        loading = any(not state.vram_bytes or state.stage != "Training" for state in training)
        if not uses or loading or now < self._settled_at:
            return {}
        taken = sum(use.used_bytes for use in uses) - sum(state.vram_bytes for state in training)
        return {_REST: max(0, taken)}

    def _is_ours(self, pid: int, engines: Sequence[Engine]) -> bool:
        """Whether it is an engine, or was started by one: those carry the mark."""
        return any(engine.pid == pid for engine in engines) or self._marked.has(pid)


_REST = "rest"


def _rest(found: dict[str, int]) -> bool:
    return _REST in found
