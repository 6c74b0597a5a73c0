"""The recipe being edited: what changes it, what is found out about it, and its keeping."""

from __future__ import annotations

import copy
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from studio.core import advice
from studio.core.calibration import Calibration
from studio.core.cards import KnownCard
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.problem import Problem
from studio.core.recipe import Recipe
from studio.core.speed import Speed
from studio.ui.pages.new_run.changes import differences, put
from studio.ui.pages.new_run.reckoning import Reckoning

SAVE_AFTER = 400
"""Milliseconds without a change until the draft is saved."""
NEW: dict[str, Any] = {"model": "", "dataset": [], "method": "lora"}


class RecipeDraft(Reckoning):
    """One owner of everything the wizard edits; steps read it on `changed` and ask it to change."""

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
        super().__init__(copy.deepcopy(NEW), parent)
        self.step = 0
        self.method_chosen = False
        self._undo: dict[str, Any] = {}
        self._save = QTimer(self)
        self._save.setSingleShot(True)
        self._save.setInterval(SAVE_AFTER)
        self._save.timeout.connect(self.save_wanted)

    # what changes it

    def set(self, path: str, value: Any) -> None:
        """Set one dotted field to what was typed."""
        if self.get(path) == value and path.split(".")[0] in self.data:
            return
        put(self.data, path, value)
        if path in self._undo:
            self._undo = {}
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
        self._undo = {}
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
            for name, value in values.items():
                put(self.data, f"{part}.{name}", value)
        self._undo = {}
        self._edited()

    def take_over(self, recipe: Recipe) -> None:
        """Take over method and hyperparameters where they differ; `undo` takes them back."""
        changed = differences(self.recipe, recipe)
        before = {path: put(self.data, path, value) for path, value in changed.items()}
        self._undo = before
        self._together(before)

    @property
    def can_undo(self) -> bool:
        """Whether several fields were changed together and none of them by hand since."""
        return bool(self._undo)

    def undo(self) -> None:
        """Take back what `take_over` changed last."""
        before, self._undo = self._undo, {}
        for path, value in before.items():
            put(self.data, path, value)
        self._together(before)

    def _together(self, changed: dict[str, Any]) -> None:
        self.method_chosen = self.method_chosen or "method" in changed
        self._edited()
        if any(path.startswith("data.") for path in changed):
            self.rows_changed.emit()

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
        if self.around.know(machine, reserve_bytes):
            self._other_surroundings()

    def know_measured(self, ratios: tuple[Calibration, ...], speeds: tuple[Speed, ...]) -> None:
        """What was measured on this machine."""
        self.around.calibrations, self.around.speeds = ratios, speeds
        self._other_surroundings()

    def plan_for(self, card: KnownCard | None) -> None:
        """Estimate for a card that isn't here; None comes back to this machine."""
        if card != self.around.planned:
            self.around.plan_for(card)
            self._other_surroundings()

    def _other_surroundings(self) -> None:
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
        self.data["method"] = advice.recommend(facts, self.around.target).method
