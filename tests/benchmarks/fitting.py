"""Milliseconds for an estimate, for making it fit, for presets, and for what a card can train.

    python -m tests.benchmarks.fitting [--times 5]

Every model of the catalogue, by every method, on cards of 6 to 48 GB: what is cached of a model's
shapes is there already, as in a window that shows it. The goals: an estimate in 2 ms, making it
fit in 200 ms, 200 configurations in 300 ms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import get_args

from studio.core import cards, catalogue, memory
from studio.core.autofit import make_it_fit
from studio.core.facts import Machine, ModelFacts
from studio.core.presets import SIZES, preset
from studio.core.recipe import DataPart, Method, Recipe, TrainingPart
from studio.library.catalogue import known
from tests.benchmarks.numbers import distribution, report

METHODS: tuple[Method, ...] = get_args(Method)
BADGES = 200


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def recipes(model: str) -> list[Recipe]:
    """One for each method that leaves much to do: long rows, all kept, large micro-batches."""
    return [
        Recipe(
            model=catalogue.sensible(model, method).model,
            dataset=(),
            method=method,
            data=DataPart(max_length=4096),
            training=TrainingPart(micro_batch_size=16, gradient_checkpointing="no"),
        )
        for method in METHODS
    ]


def all_cases() -> list[tuple[Recipe, ModelFacts, Machine]]:
    machines = [cards.machine_with(cards.of_size(size)) for size in SIZES]
    return [
        (recipe, model.facts(), machine)
        for model in known()
        for recipe in recipes(model.id)
        for machine in machines
    ]


def badges(cases: list[tuple[Recipe, ModelFacts, Machine]]) -> None:
    for recipe, model, machine in cases[:: len(cases) // BADGES][:BADGES]:
        memory.estimate(recipe, model, machine, advise=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    cases = all_cases()
    machines = [cards.machine_with(cards.of_size(size)) for size in SIZES]

    def estimating(case: tuple[Recipe, ModelFacts, Machine]) -> float:
        return milliseconds(lambda: memory.estimate(*case, advise=False))

    def fitting(case: tuple[Recipe, ModelFacts, Machine]) -> float:
        return milliseconds(lambda: make_it_fit(*case))

    def presetting(case: tuple[Recipe, ModelFacts, Machine]) -> float:
        return milliseconds(lambda: [preset(size, case[0].method, *case[:2]) for size in SIZES])

    def offering(machine: Machine, method: Method) -> float:
        return milliseconds(lambda: catalogue.largest(machine, known(), method))

    figures = {
        "first estimate": [estimating(case) for case in cases],
        "estimate again": [estimating(case) for case in cases],
        "make it fit": [fitting(case) for case in cases],
        "presets, 6 sizes": [presetting(case) for case in cases[:: len(SIZES)]],
        "a card's models": [offering(one, method) for one in machines for method in METHODS],
        f"{BADGES} badges": [milliseconds(lambda: badges(cases)) for _ in range(times)],
    }
    report("ms", {name: distribution(values) for name, values in figures.items()})


if __name__ == "__main__":
    main()
