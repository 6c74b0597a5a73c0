"""What is worth telling a person who looks elsewhere: a run ended, waits or went wrong."""

from __future__ import annotations

from pathlib import Path

from studio.core.queue import Queue
from studio.core.run_state import RunState
from studio.ui import reasons


def of_run(folder: Path, state: RunState, hours: str = "") -> tuple[str, str, str] | None:
    """Title, text and tone; None where the user asked for this end."""
    name = folder.name
    match state.state:
        case "finished" if state.result.get("model"):
            return f"“{name}” is finished", "The new model is ready.", "ok"
        case "finished":
            return f"“{name}” is finished", "The adapter is in the library.", "ok"
        case "failed" | "crashed":
            return f"“{name}”: {state.title or 'ended'}", state.text, "err"
        case "paused" if state.pause_reason:
            why = state.pause_reason
            waits = "waits" if reasons.waits(state) else "is paused"
            return f"“{name}” {waits}: {reasons.short(why)}", reasons.text(why, hours), "warn"
    return None


def of_queue(queue: Queue) -> tuple[str, str, str] | None:
    """That the computer is about to sleep or to shut down; None while it isn't."""
    if not queue.then_at or queue.then == "nothing":
        return None
    will = "sleep" if queue.then == "sleep" else "shut down"
    title = "All runs of the queue are done"
    return title, f"The computer will {will} in a minute. The studio can call it off.", "warn"
