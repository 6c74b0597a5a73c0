"""The recipe being edited: plain data as typed, what it comes to, and all that is wrong with it."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from studio.core import advice, memory, problems
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.memory import Estimate
from studio.core.problem import Problem
from studio.core.recipe import DatasetPart, Method, ModelPart, Recipe
from studio.library.models import STARTER
from studio.ui.pages.new_run.wording import in_words

SAVE_AFTER = 400
"""Milliseconds without a change until the draft is saved."""
NEW: dict[str, Any] = {"model": "", "dataset": [], "method": "lora"}


class RecipeDraft(QObject):
    """One owner of everything the wizard edits; steps read it on `changed` and ask it to change.

    `data` may hold what can't be used (text where a number belongs): `recipe` has the default
    there, and `problems` says so.
    """

    changed = Signal()
    edited = Signal()
    """The user changed something (facts arriving isn't that)."""
    model_changed = Signal()
    """Another model was chosen; nothing is known of it yet."""
    model_known = Signal()
    """What was found out about the chosen model arrived."""
    rows_changed = Signal()
    """Anything that decides what the rows look like: dataset, columns, model, lengths."""
    save_wanted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.data: dict[str, Any] = copy.deepcopy(NEW)
        self.step = 0
        self.method_chosen = False
        self.machine: Machine | None = None
        self.model: ModelFacts | None = None
        self.report: DatasetReport | None = None
        self.model_problem: Problem | None = None
        self.dataset_problem: Problem | None = None
        self._save = QTimer(self)
        self._save.setSingleShot(True)
        self._save.setInterval(SAVE_AFTER)
        self._save.timeout.connect(self.save_wanted)
        self._reckon()

    # what it comes to

    recipe: Recipe
    problems: list[Problem]
    estimate: Estimate
    recommendation: advice.Recommendation | None

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

    # what changes it

    def set(self, path: str, value: Any) -> None:
        """Set one dotted field to what was typed."""
        if self.get(path) == value and path.split(".")[0] in self.data:
            return
        *parents, last = path.split(".")
        place = self.data
        for key in parents:
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        place[last] = value
        if path == "method":
            self.method_chosen = True
        self._edited()
        if path.startswith(("dataset", "data.", "training.seed")):
            self.rows_changed.emit()

    def set_model(self, path: str, revision: str | None = None) -> None:
        """Choose a model: "starter", a folder, a hub id, or "" for none."""
        new: Any = {"path": path, "revision": revision} if revision else path
        if self.data.get("model") == new:
            return
        self.data["model"] = new
        self.model, self.model_problem = None, None
        self._edited()
        self.model_changed.emit()

    def set_dataset(self, path: str) -> None:
        """Choose the one dataset: "sample", a file or folder, or "" for none."""
        self.data["dataset"] = [{"path": path}] if path else []
        self._other_rows()

    def add_dataset(self, part: dict[str, Any]) -> None:
        """Mix another dataset in; `part` has the fields of core.recipe.DatasetPart."""
        self.data["dataset"] = [*self.data["dataset"], part]
        self._other_rows()

    def remove_dataset(self, place: int) -> None:
        """Take one of the datasets out, by its place from 0."""
        self.data["dataset"] = [
            part for index, part in enumerate(self.data["dataset"]) if index != place
        ]
        self._other_rows()

    def change_dataset(self, place: int, **values: Any) -> None:
        """Change fields of one of the datasets; an empty value takes the field out."""
        part = {**self.data["dataset"][place], **values}
        part = {key: value for key, value in part.items() if value not in ("", None, {})}
        if part != self.data["dataset"][place]:
            self.data["dataset"][place] = part
            self._edited()
            self.rows_changed.emit()

    def _other_rows(self) -> None:
        self.report, self.dataset_problem = None, None
        self._edited()
        self.rows_changed.emit()

    def apply_preset(self, preset: advice.Preset) -> None:
        """Take over a preset's hyperparameters."""
        training = {"early_stopping_patience": 0} | preset.training
        for part, values in (("training", training), ("lora", preset.lora)):
            kept = self.data.get(part)
            self.data[part] = (kept if isinstance(kept, dict) else {}) | values
        self._edited()

    def know_model(self, facts: ModelFacts | None, problem: Problem | None = None) -> None:
        """What was found out about the chosen model."""
        self.model, self.model_problem = facts, problem
        if facts is not None and not self.method_chosen:
            self._take_advice(facts)
        self._reckon()
        self.model_known.emit()
        self.changed.emit()
        self.rows_changed.emit()

    def know_dataset(self, report: DatasetReport | None, problem: Problem | None = None) -> None:
        """What was found out about the rows."""
        self.report, self.dataset_problem = report, problem
        self._reckon()
        self.changed.emit()

    def know_machine(self, machine: Machine, reserve_bytes: int) -> None:
        """The machine now; recomputes only where it makes a difference to look at."""
        before, self.machine = (
            self.machine,
            msgspec.structs.replace(machine, reserve_bytes=reserve_bytes),
        )
        if _roughly(before) == _roughly(self.machine):
            return
        if self.model is not None and not self.method_chosen:
            self._take_advice(self.model)
        self._reckon()
        self.changed.emit()

    def restore(self, kept: dict[str, Any]) -> None:
        """Take up a saved draft (see `kept`)."""
        data = kept.get("recipe")
        if isinstance(data, dict):
            self.data = {**copy.deepcopy(NEW), **data}
            if not isinstance(self.data["dataset"], list):
                self.data["dataset"] = [{"path": str(self.data["dataset"])}]
            parts = (part for part in self.data["dataset"] if isinstance(part, dict | str))
            self.data["dataset"] = [{"path": p} if isinstance(p, str) else p for p in parts]
        step = kept.get("step", 0)
        self.step = step if isinstance(step, int) else 0
        self.method_chosen = bool(kept.get("method_chosen"))
        self._everything_changed()

    def kept(self) -> dict[str, Any]:
        """The draft as it is saved."""
        return {"recipe": self.data, "step": self.step, "method_chosen": self.method_chosen}

    def clear(self) -> None:
        """Begin a new recipe; what isn't about the run (model, dataset) stays."""
        self.data.pop("name", None)
        self.step = 0
        self._edited()

    def save_soon(self) -> None:
        """Something worth keeping changed that isn't in the recipe."""
        self._save.start()

    def _edited(self) -> None:
        self._reckon()
        self._save.start()
        self.edited.emit()
        self.changed.emit()

    def _everything_changed(self) -> None:
        self.model = self.report = self.model_problem = self.dataset_problem = None
        self._reckon()
        self.changed.emit()
        self.model_changed.emit()

    def _take_advice(self, facts: ModelFacts) -> None:
        self.data["method"] = advice.recommend(facts, self.machine).method

    def _reckon(self) -> None:
        """Read, check and estimate anew; pure arithmetic, quick enough for every key."""
        recipe, found = problems.read_leniently(self.data)
        self.recipe = recipe or Recipe(model=ModelPart(path=""), dataset=())
        found = [in_words(p, missing=not self.data.get(p.field)) for p in found]
        found += [p for p in (self.model_problem, self.dataset_problem) if p]
        checked = problems.check(self.recipe, self.machine, self.model, self.report)
        found += [in_words(p) for p in checked]
        self.problems = list(dict.fromkeys(found))
        longest = self.report.max_tokens if self.report else 0
        self.estimate = memory.estimate(self.recipe, self.model, self.machine, longest)
        self.recommendation = self._advice(longest)

    def _advice(self, longest: int) -> advice.Recommendation | None:
        """The method for this model, with rows no longer than they really are."""
        if self.model is None:
            return None
        data = self.recipe.data
        length = min(data.max_length, longest or data.max_length)
        recipe = msgspec.structs.replace(
            self.recipe, data=msgspec.structs.replace(data, max_length=length)
        )
        return advice.recommend(self.model, self.machine, recipe)

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


def _roughly(machine: Machine | None) -> tuple[object, ...]:
    """What the estimate shows of a machine: free memory to 100 MB."""
    if machine is None:
        return ()
    free = [gpu.free_bytes for gpu in machine.gpus] or [machine.ram_free_bytes]
    names = tuple(gpu.name for gpu in machine.gpus)
    return names, tuple(round(each / 1e8) for each in free), machine.reserve_bytes
