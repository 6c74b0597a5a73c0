"""When a run was last saved, and what a crash would cost now: one line under its progress."""

from __future__ import annotations

import time
from collections.abc import Iterable

from studio.core import events as ev
from studio.core.recipe import TrainingPart
from studio.core.run_state import RunState
from studio.ui import format as say

MINUTE = 60.0


class Saves:
    """Fed with events; `words` says where the run stands."""

    def __init__(self) -> None:
        self._step = -1
        self._at = 0.0
        self._began = 0.0

    def take(self, found: Iterable[ev.AnyEvent]) -> None:
        """Remember the newest checkpoint, and since when there is something to lose."""
        for event in found:
            match event:
                case ev.Saved() | ev.Paused():
                    self._step, self._at = event.step, event.time
                case ev.Started():
                    self._began = event.time
                case ev.RolledBack():
                    self._step = min(self._step, event.to_step)

    def words(self, state: RunState, training: TrainingPart | None, living: bool) -> str:
        """The line for this state; empty where there is nothing to lose or to save."""
        if state.state in ("finished", "stopped", "cancelled") or not state.step:
            return ""
        if living and state.state == "running":
            return self._at_risk(training)
        if state.state == "paused":
            return f"Saved at step {say.count(state.step)}. No work is lost by resuming."
        return self._lost(state)

    def _at_risk(self, training: TrainingPart | None) -> str:
        now = time.time()
        saved = self._step >= 0 and self._at >= self._began
        since = max(0.0, now - (self._at if saved else self._began))
        ago = "just now" if since < MINUTE else f"{say.duration(since)} ago"
        said = f"Last saved {ago}, at step {say.count(self._step)}." if saved else "Not saved yet."
        if training is None:
            return said
        most = max(since, training.save_every_minutes * MINUTE)
        return f"{said} At most {say.duration(most)} of work at risk."

    def _lost(self, state: RunState) -> str:
        """Of a run that ended otherwise than it should."""
        if self._step < 0:
            return "It was not saved before it ended; resuming starts at the first step."
        again = state.step - self._step
        if again <= 0:
            return f"Saved at step {say.count(self._step)}. No work is lost by resuming."
        steps = "1 step" if again == 1 else f"{say.count(again)} steps"
        return f"Saved at step {say.count(self._step)}. Resuming repeats {steps}."


def rule(training: TrainingPart) -> str:
    """Which checkpoints stay on disk."""
    newest = training.keep_checkpoints
    kept = "the newest checkpoint" if newest == 1 else f"the newest {newest} checkpoints"
    return f"Keeps {kept}{' and the best' if training.keep_best else ''}."
