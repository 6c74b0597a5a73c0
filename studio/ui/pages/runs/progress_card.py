"""How far a run is, and how long it will take."""

from __future__ import annotations

from studio.core.run_state import RunState
from studio.ui import format as say
from studio.ui.widgets import Card, ProgressBar, label, row

UNKNOWN = "What it has learnt can't be shown here"


class ProgressCard(Card):
    """Step, epoch, per cent and time left over a bar; or the stage while there are no steps."""

    def __init__(self) -> None:
        super().__init__(margin=16, spacing=12)
        self.step = label("", "b")
        self.epoch = label("", "sub")
        self.share = label("", "b")
        self.left = label("", "sub")
        self.bar = ProgressBar("Progress of the run")
        self.saved = label("", "mute", wrap=True)
        self.saved.hide()
        self.add(row(self.step, self.epoch, None, self.share, self.left, spacing=11), self.bar)
        self.add(self.saved)

    def show_state(self, state: RunState, living: bool) -> None:
        """Show where the run stands."""
        working = living and state.state in ("running", "created")
        training = state.stage == "Training" and bool(state.total_steps)
        if working and not training:
            self._say(state.stage or "Starting", "", state.share)
            return
        if not state.total_steps:
            newer = state.state == "newer"
            self._say(UNKNOWN if newer else "Nothing trained yet", "", None)
            self.bar.set_value(0.0, _tone(state))
            return
        steps = f"Step {say.count(state.step)} of {say.count(state.total_steps)}"
        epoch = f"epoch {state.epoch:.1f} of {state.epochs:g}" if state.epochs else ""
        done = state.step / state.total_steps
        self._say(steps, epoch, done)
        self.left.setText(_time(state))
        self.left.setVisible(bool(self.left.text()))
        self.bar.set_value(done, "accent" if working else _tone(state))

    def show_saves(self, words: str, rule: str) -> None:
        """How much of the run is safe, and which checkpoints stay."""
        self.saved.setText(f"{words} {rule}".strip() if words else "")
        self.saved.setVisible(bool(words))

    def _say(self, step: str, epoch: str, share: float | None) -> None:
        self.step.setText(step)
        self.epoch.setText(epoch)
        self.share.setText("" if share is None else say.share(share))
        self.left.hide()
        self.bar.set_value(share, "accent")


def _time(state: RunState) -> str:
    if state.eta_seconds is not None:
        return f"{say.duration(state.eta_seconds)} left"
    return f"trained for {say.duration(state.seconds)}" if state.seconds else ""


def _tone(state: RunState) -> str:
    if state.state in ("failed", "crashed"):
        return "err"
    return "ok" if state.state == "finished" else "mute"
