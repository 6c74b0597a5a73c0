"""An adapter keeps the recipe, the losses and the samples of its run."""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.core import events as ev
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import adapters, jobs, runs
from studio.library.adapters import AdapterFacts, history
from studio.library.folders import Home
from tests.support.adapter_files import write_adapter

RECIPE = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))


def test_they_outlive_the_run(home: Home, tmp_path: Path) -> None:
    run = runs.create(home, RECIPE)
    for step in range(1, 4):
        jobs.append(run, ev.Step(step=step, metrics={"loss": 1.0 / step}, tokens=1, seconds=1.0))
    jobs.append(run, ev.Evaluated(step=3, metrics={"loss": 0.5}))
    jobs.append(run, ev.Sampled(step=3, prompt="Hello", text="Ahoy"))
    source = write_adapter(tmp_path / "trained")
    folder = adapters.add(home, source, "Pirate", AdapterFacts(run=run.name))
    shutil.rmtree(run)
    found = history.read(folder)
    assert found.train == ((1, 1.0), (2, 0.5), (3, 1.0 / 3))
    assert found.held_out == ((3, 0.5),)
    assert [(s.prompt, s.text) for s in found.samples] == [("Hello", "Ahoy")]
    recipe = history.recipe_of(folder)
    assert recipe is not None
    assert "starter" in recipe.read_text("utf-8")


def test_without_a_run_there_is_none(home: Home, tmp_path: Path) -> None:
    source = write_adapter(tmp_path / "trained")
    for run in ("", "gone", "../runs", ".."):
        folder = adapters.add(home, source, "x", AdapterFacts(run=run))
        assert history.read(folder) == history.History()
        assert history.recipe_of(folder) is None
    (folder / "history.json").write_bytes(b"{")
    assert history.read(folder) == history.History()


def test_steps_that_were_rolled_back_are_left_out() -> None:
    def step(number: int, loss: float | None) -> ev.Step:
        return ev.Step(step=number, metrics={"loss": loss}, tokens=1, seconds=1.0)

    found = history.of_events(
        [step(1, 2.0), step(2, None), step(3, 9.0), ev.RolledBack(step=3, to_step=1, text=""),
         step(2, 1.0)]
    )  # fmt: skip
    assert found.train == ((1, 2.0), (2, 1.0))


def test_thinning_keeps_the_shape_and_the_end() -> None:
    points = [(step, float(step)) for step in range(10_000)]
    thin = history.thinned(points, 100)
    assert len(thin) == 100
    assert thin[-1] == points[-1]
    assert all(abs(step - loss) <= 101 for step, loss in thin)
    assert history.thinned(points[:5], 100) == tuple(points[:5])
