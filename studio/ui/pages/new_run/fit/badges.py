"""How models would fit by each method, found out between two frames however many there are."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from PySide6.QtCore import QObject, QTimer

from studio.core import memory
from studio.core.facts import Machine, ModelFacts
from studio.core.memory import Verdict
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe
from studio.library import models
from studio.ui.pages.new_run.fit.words import VERDICTS

SHORT: dict[Method, str] = {"lora": "LoRA", "qlora": "QLoRA", "full": "Full"}
SLICE = 0.004
"""Seconds of one turn of the event loop that badges may take: a quarter of a frame."""

Pills = list[tuple[str, str]]
Show = Callable[[Pills], Any]


def verdicts(facts: ModelFacts, machine: Machine) -> dict[Method, Verdict]:
    """How each method would fit with a recipe's defaults."""
    recipe = Recipe(model=ModelPart(path=facts.path), dataset=(DatasetPart(path=""),))
    return {
        method: memory.estimate(
            msgspec.structs.replace(recipe, method=method), facts, machine, advise=False
        ).verdict
        for method in SHORT
    }


def badges(facts: ModelFacts, machine: Machine | None) -> Pills:
    """(text, tone) for each method: fits, tight or won't fit."""
    if models.errors(facts):
        return [("Can't be used", "err")]
    if machine is None:
        return []
    found = verdicts(facts, machine)
    return [badge(method, found[method]) for method in SHORT if found[method] != "unknown"]


def badge(method: Method, verdict: Verdict) -> tuple[str, str]:
    """One method's badge: LoRA fits, Full won't fit."""
    said, tone = VERDICTS[verdict]
    return f"{SHORT[method]} {said.lower()}", tone


class Badger(QObject):
    """Works through what it was asked for, a slice at a time; a place's newest wish counts."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._machine: Machine | None = None
        self._wanted: OrderedDict[str, tuple[ModelFacts, Show]] = OrderedDict()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._work)

    @property
    def busy(self) -> bool:
        """Whether badges are still to come."""
        return bool(self._wanted)

    def want(self, place: str, facts: ModelFacts, machine: Machine | None, show: Show) -> None:
        """Have `show` called with the badges of this model on this machine."""
        self._machine = machine
        self._wanted[place] = facts, show
        self._timer.start()

    def forget(self) -> None:
        """Drop what is still to come: its places are gone."""
        self._wanted.clear()
        self._timer.stop()

    def _work(self) -> None:
        end = time.perf_counter() + SLICE
        while self._wanted and time.perf_counter() < end:
            _, (facts, show) = self._wanted.popitem(last=False)
            show(badges(facts, self._machine))
        if not self._wanted:
            self._timer.stop()
