"""What an edited recipe comes to: read leniently, checked, estimated, with a method advised."""

from __future__ import annotations

from typing import Any

import msgspec
from PySide6.QtCore import QObject

from studio.core import advice, autofit, memory, problems
from studio.core.autofit import Fitted
from studio.core.costs import Costs
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import Estimate
from studio.core.problem import Problem
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe
from studio.core.sizing.architectures import shapes_of
from studio.library.models import STARTER
from studio.ui.pages.new_run.surroundings import Surroundings
from studio.ui.pages.new_run.wording import in_words


class Reckoning(QObject):
    """Plain data as typed, the facts about it, and all that follows from them.

    `data` may hold what can't be used (text where a number belongs): `recipe` has the default
    there, and `problems` says so.
    """

    recipe: Recipe
    problems: list[Problem]
    estimate: Estimate
    ratio: float
    """What was measured here of runs like this one by what was reckoned; 1.0: nothing was."""
    costs: Costs | None
    learnt: int
    """Values that learn; 0 while the model isn't known."""

    def __init__(self, data: dict[str, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.data = data
        self.around = Surroundings()
        self.model: ModelFacts | None = None
        self.report: DatasetReport | None = None
        self.model_problem: Problem | None = None
        self.dataset_problem: Problem | None = None
        self._reckon()

    @property
    def machine(self) -> Machine | None:
        """This machine, which a start is checked against; `around.target` may be another."""
        return self.around.machine

    @property
    def blocking(self) -> list[Problem]:
        """The problems that stop a start."""
        return problems.blocking(self.problems)

    def get(self, path: str) -> Any:
        """What was typed for a dotted field, or else its value in the recipe."""
        found: Any = self.data
        for key in path.split("."):
            if not isinstance(found, dict) or key not in found:
                return _value(self.recipe, path)
            found = found[key]
        return found

    def problems_of(self, path: str) -> list[Problem]:
        """The problems of one dotted field."""
        return [problem for problem in self.problems if problem.field == path]

    def _reckon(self) -> None:
        """Read, check and estimate anew; pure arithmetic, quick enough for every key."""
        recipe, found = problems.read_leniently(self.data)
        self.recipe = recipe or Recipe(model=ModelPart(path=""), dataset=())
        found = [in_words(p, missing=not self.data.get(p.field)) for p in found]
        found += [p for p in (self.model_problem, self.dataset_problem) if p]
        checked = problems.check(
            self.recipe, self.machine, self.model, self.report, self.around.calibrations
        )
        found += [in_words(p) for p in checked]
        self.problems = list(dict.fromkeys(found))
        self._estimate()
        self._recommended: tuple[advice.Recommendation | None] | None = None

    def _estimate(self) -> None:
        around, recipe, model = self.around, self.recipe, self.model
        self.estimate, self.ratio = around.estimate(recipe, model, self.longest)
        self.costs = around.costs(recipe, model, self.report, self.estimate)
        shapes = shapes_of(model.config) if model else None
        self.learnt = memory.trainable(recipe, shapes) if shapes else 0

    @property
    def longest(self) -> int:
        """Tokens of the longest row; 0 while the rows aren't known."""
        return self.report.max_tokens if self.report else 0

    def estimate_of(self, recipe: Recipe) -> Estimate:
        """What another recipe would take in the same surroundings."""
        return self.around.estimate(recipe, self.model, self.longest)[0]

    def ways_to_save(self) -> tuple[str, ...]:
        """What would make the run smaller, in sentences; slower than the estimate."""
        found, _ = self.around.estimate(self.recipe, self.model, self.longest, advise=True)
        return found.advice

    def make_it_fit(self) -> Fitted:
        """The changes that make the run fit; a fifth of a second at most."""
        around = self.around
        return autofit.make_it_fit(
            self.recipe,
            self.model,
            around.target,
            self.longest,
            lengths=self.report.lengths if self.report else None,
            calibration=self.ratio,
        )

    def make_use_of_room(self, most: int = 0) -> Fitted:
        """What room that is left could be used for, in at most so many changes (0: any)."""
        target, ratio = self.around.target, self.ratio
        return autofit.make_use_of(
            self.recipe, self.model, target, self.longest, calibration=ratio, most=most
        )

    @property
    def recommendation(self) -> advice.Recommendation | None:
        """The method for this model, with rows no longer than they really are; reckoned for those
        who ask, since it takes several estimates."""
        if self._recommended is None:
            self._recommended = (self._recommend(),)
        return self._recommended[0]

    def _recommend(self) -> advice.Recommendation | None:
        if self.model is None:
            return None
        data = self.recipe.data
        length = min(data.max_length, self.longest or data.max_length)
        recipe = msgspec.structs.replace(
            self.recipe, data=msgspec.structs.replace(data, max_length=length)
        )
        return advice.recommend(self.model, self.around.target, recipe, self.report)

    # what it says of itself

    @property
    def model_path(self) -> str:
        return self.recipe.model.path

    @property
    def is_starter(self) -> bool:
        return self.recipe.model.path == STARTER

    @property
    def dataset_part(self) -> DatasetPart | None:
        return self.recipe.dataset[0] if self.recipe.dataset else None

    @property
    def method(self) -> Method:
        return self.recipe.method

    def steps(self) -> int:
        """Optimizer steps of the run, 0 while the rows aren't known."""
        training = self.recipe.training
        if training.max_steps:
            return training.max_steps
        rows = self.report.usable_rows if self.report else 0
        learnt = rows - int(rows * self.recipe.data.eval_share)
        a_pass = -(-learnt // training.batch_size)
        return max(1, round(a_pass * training.epochs)) if learnt > 0 else 0


def _value(recipe: Recipe, path: str) -> Any:
    found: Any = recipe
    for key in path.split("."):
        found = getattr(found, key)
    return found
