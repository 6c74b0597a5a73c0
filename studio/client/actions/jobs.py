"""Follow a job to its end, and turn how it ended into a result or an error."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from studio.client.cancelled import Cancelled, Fault
from studio.client.keeper import Keeper, Orders
from studio.core import guard
from studio.core.commands import AnyJob, Cancel
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Ended, Failed, Stage
from studio.core.run_state import RunState, after
from studio.library import jobs, runs
from studio.library.folders import Home

Hear = Callable[[AnyEvent], None]
Progress = Callable[[str, float | None], None]
Asked = Callable[[], bool]

ENGINE_FAULT = 3
CRASHES = frozenset(
    -number
    for name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP")
    if (number := getattr(signal, name, None)) is not None
)


def staged(progress: Progress) -> Hear:
    """Hears of a job what it does and how far it is, and nothing else."""

    def hear(event: AnyEvent) -> None:
        if isinstance(event, Stage):
            progress(event.text, event.share)

    return hear


def cancelling(cancelled: Asked) -> Orders:
    """Orders a job to end, once, when somebody asks for it."""
    told: list[Cancel] = []

    def orders() -> Cancel | None:
        if told or not cancelled():
            return None
        told.append(Cancel())
        return told[0]

    return orders


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended. `fault` marks an end that is the studio's own mistake."""

    state: RunState
    fault: bool = False

    def result(self, what: str = "The job") -> dict[str, Any]:
        """What it finished with; raises Cancelled, Fault or StudioError for any other end."""
        state = self.state
        if state.state in ("finished", "stopped"):
            return dict(state.result)
        if state.state == "cancelled":
            raise Cancelled(what)
        if state.state == "paused":
            why = f", and {found}" if (found := guard.headline(state)) else ""
            raise StudioError(
                f"{what} is paused",
                f"It is saved after step {state.step}{why}.",
                "Take it up with “finetune-studio resume”.",
            )
        kind = Fault if self.fault else StudioError
        title = state.title or f"{what} ended early"
        raise kind(title, state.text or "Its process ended without a word.", state.fix)


def wait(
    keeper: Keeper,
    folder: Path,
    offset: int = 0,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> Outcome:
    """Hear a job's events from a byte offset of its log on, until no engine is at work on it.

    `orders` is asked about ten times a second for a command to pass on.
    """
    state = _state_at(folder, offset)
    fault = False
    for event in keeper.follow(folder, offset, orders):
        state, fault = after(state, event), fault or _is_fault(event)
        if hear:
            hear(event)
    return Outcome(state=state, fault=fault)


def run_job(
    home: Home,
    job: AnyJob,
    what: str,
    *,
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Start a job in a folder of its own, wait for its end; its result, or an error raised.

    The folder stays only where the job failed, for its log.
    """
    if keeper is None:
        with Keeper.connect(home) as own:
            return run_job(home, job, what, keeper=own, hear=hear, orders=orders)
    folder = jobs.create(home, job)
    keeper.start(folder)
    outcome = wait(keeper, folder, 0, hear, orders)
    if outcome.state.state in ("finished", "cancelled"):
        shutil.rmtree(folder, ignore_errors=True)
    return outcome.result(what)


def _state_at(folder: Path, offset: int) -> RunState:
    return runs.state_of(folder) if offset else RunState()


def _is_fault(event: AnyEvent) -> bool:
    if isinstance(event, Failed):
        return event.fault
    return isinstance(event, Ended) and (event.code == ENGINE_FAULT or event.code in CRASHES)
