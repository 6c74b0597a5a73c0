"""Where a job stands, from its events alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from studio.core import events as ev
from studio.core.upgrades import Newer, refuse_newer

State = Literal[
    "created",
    "running",
    "paused",
    "stopped",
    "finished",
    "cancelled",
    "failed",
    "crashed",
    "newer",
]
Action = Literal["stop", "cancel", "pause", "resume", "save", "sample", "chat", "delete"]

LIVING: tuple[State, ...] = ("running",)
ENDED: tuple[State, ...] = ("stopped", "finished", "cancelled", "failed", "crashed", "paused")


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a list or a progress bar needs to know of a job.

    "newer" is a job of a studio newer than this one: it is shown, and nothing may be done to it.
    Rates are tokens a second, memory is bytes, times are seconds since the epoch.
    """

    state: State = "created"
    kind: str = ""
    format: int = 1
    stage: str = ""
    share: float | None = None
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    epochs: float = 0.0
    train_loss: float | None = None
    eval_loss: float | None = None
    best_eval_loss: float | None = None
    tokens: int = 0
    seconds: float = 0.0
    tokens_per_second: float | None = None
    memory_bytes: int = 0
    vram_bytes: int = 0
    peak_bytes: int = 0
    created_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    checkpoint: str = ""
    pause_reason: str = ""
    rescues: int = 0
    title: str = ""
    text: str = ""
    fix: str = ""
    result: dict[str, object] = {}

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at the mean speed so far; None before the first step."""
        if self.state != "running" or not self.step or not self.total_steps:
            return None
        return self.seconds / self.step * (self.total_steps - self.step)


def after(state: RunState, event: ev.AnyEvent) -> RunState:
    """The state after one more event. Unknown combinations change nothing."""
    if state.state == "newer":
        return state
    change = _changes(state, event)
    return msgspec.structs.replace(state, **change) if change else state


def replay(events: Iterable[ev.AnyEvent], state: RunState | None = None) -> RunState:
    """The state after all of these events."""
    state = state or RunState()
    for event in events:
        state = after(state, event)
    return state


_TRAINING: frozenset[Action] = frozenset({"stop", "pause", "save", "sample"})
_AGAIN: frozenset[Action] = frozenset({"resume", "delete"})
_CHAT: frozenset[Action] = frozenset({"chat"})


def allowed(state: RunState) -> frozenset[Action]:
    """What may be asked of a job in this state."""
    if state.state == "newer":
        return frozenset()
    cancel: frozenset[Action] = frozenset({"cancel"})
    delete: frozenset[Action] = frozenset({"delete"})
    if state.state == "running":
        return cancel | _TRAINING if state.kind == "train" else cancel
    kept = _CHAT if state.result.get("adapter") or state.result.get("model") else frozenset()
    if state.kind == "train" and state.state not in ("finished", "cancelled"):
        return _AGAIN | kept
    return delete | kept


def _changes(state: RunState, event: ev.AnyEvent) -> dict[str, object]:
    match event:
        case ev.Created():
            return _created(event)
        case ev.Started():
            return _started(event)
        case ev.Stage():
            return {"stage": event.text, "share": event.share}
        case ev.Step():
            return _step(state, event)
        case ev.Evaluated():
            return _evaluated(state, event)
        case ev.Saved():
            return {"checkpoint": event.path}
        case ev.Paused():
            return _paused(event)
        case ev.Rescued():
            return {"step": event.step, "rescues": state.rescues + 1}
        case ev.RolledBack():
            return {"step": event.to_step}
        case ev.Finished():
            done = "stopped" if event.stopped else "finished"
            return {"state": done, "result": event.result, "share": 1.0, "ended_at": event.time}
        case ev.Cancelled():
            return {"state": "cancelled", "ended_at": event.time}
        case ev.Failed():
            return {"state": "failed", "ended_at": event.time} | _words(event)
        case ev.Ended() if event.title or state.state in ("running", "created"):
            return {"state": "crashed", "ended_at": event.time} | _words(event)
    return {}


def _created(event: ev.Created) -> dict[str, object]:
    known: dict[str, object] = {
        "kind": event.kind,
        "created_at": event.time,
        "format": event.format,
    }
    try:
        refuse_newer("run", event.format, "This run")
    except Newer as error:
        words = {"title": error.title, "text": error.text, "fix": error.fix}
        return known | words | {"state": "newer"}
    return known


def _started(event: ev.Started) -> dict[str, object]:
    return {
        "state": "running",
        "stage": "",
        "share": None,
        "step": event.resumed_from,
        "total_steps": event.total_steps,
        "epochs": event.epochs,
        "started_at": event.time,
        "ended_at": 0.0,
        "pause_reason": "",
        "title": "",
        "text": "",
        "fix": "",
    }


def _paused(event: ev.Paused) -> dict[str, object]:
    return {
        "state": "paused",
        "checkpoint": event.checkpoint,
        "pause_reason": event.reason,
        "ended_at": event.time,
    }


def _step(state: RunState, event: ev.Step) -> dict[str, object]:
    metrics = event.metrics
    memory = metrics.get("vram_bytes") or metrics.get("memory_bytes") or 0
    return {
        "stage": "Training",
        "step": event.step,
        "epoch": event.epoch,
        "share": event.step / state.total_steps if state.total_steps else None,
        "train_loss": metrics.get("loss"),
        "tokens": event.tokens,
        "seconds": event.seconds,
        "tokens_per_second": metrics.get("tokens_per_second"),
        "memory_bytes": int(memory),
        "vram_bytes": int(metrics.get("vram_bytes") or 0),
        "peak_bytes": max(state.peak_bytes, int(memory)),
    }


def _evaluated(state: RunState, event: ev.Evaluated) -> dict[str, object]:
    loss = event.metrics.get("loss")
    best = loss if event.best else state.best_eval_loss
    return {"eval_loss": loss, "best_eval_loss": best}


def _words(event: ev.Failed | ev.Ended) -> dict[str, object]:
    return {"title": event.title, "text": event.text, "fix": event.fix}
