"""Runs: check, create, prepare and start; take up again; tell a living one something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Asked, Hear, Outcome, Progress, wait
from studio.client.actions.recipes import examine, machine_now, refusal
from studio.client.actions.starter import ensure_model
from studio.client.keeper import Keeper, KeeperLost, Orders
from studio.client.preparer import Preparer
from studio.core import guard
from studio.core.commands import AnyCommand, Pause, Train
from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.core.run_state import allowed
from studio.library import jobs, models, runs
from studio.library.folders import Home, JobFolder

Warn = Callable[[list[Problem]], None]
LOOK_SECONDS = 0.5


def prepare_run(
    home: Home,
    data: Any,
    *,
    keeper: Keeper | None = None,
    preparer: Preparer | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """Check a recipe (plain data or a Recipe), create its run and tokenize its rows.

    Raises StudioError with every problem where one blocks; then nothing is left on disk.
    `warn` gets the problems that don't block. The starter model is fetched when it is asked for
    and missing.
    """
    if preparer is None:
        with Preparer(home) as own:
            return prepare_run(
                home,
                data,
                keeper=keeper,
                preparer=own,
                progress=progress,
                warn=warn,
                cancelled=cancelled,
            )
    say = progress or _silent
    ensure_model(home, data, keeper=keeper, progress=progress, cancelled=cancelled)
    say("Checking the recipe", None)
    machine = machine_now(home, keeper)
    checked = examine(
        home, data, preparer=preparer, machine=machine, progress=progress, cancelled=cancelled
    )
    if checked.recipe is None or checked.blocking:
        raise refusal(checked.problems)
    if warn:
        warn(checked.problems)
    model = models.resolve(home, checked.recipe.model)
    runs.sweep_unprepared(home)
    folder = runs.create(home, checked.recipe)
    with runs.preparing(folder):
        preparer.prepare(folder, checked.recipe, model, on_progress=say, cancelled=cancelled)
    return folder


def start_run(
    home: Home,
    data: Any,
    *,
    keeper: Keeper | None = None,
    preparer: Preparer | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """`prepare_run`, then hand the run to the keeper; the run's folder."""
    folder = prepare_run(
        home, data, keeper=keeper, preparer=preparer, progress=progress, cancelled=cancelled
    )
    if keeper is not None:
        keeper.start(folder)
        return folder
    with Keeper.connect(home) as own:
        own.start(folder)
    return folder


def resume_run(home: Home, folder: Path, *, keeper: Keeper) -> int:
    """Take a run up where it ended; a living one is left as it is, also one that somebody else
    takes up at this very moment.

    Returns the byte offset of its log from which on the events are new: 0 for a living run.
    """
    if jobs.living(folder) or _known(keeper, folder):
        return 0
    state = runs.startable(folder)
    offset = end_of_log(folder)
    try:
        keeper.start(folder, Train(resume=state.state != "created"))
    except KeeperLost:
        raise
    except StudioError:
        if _known(keeper, folder):
            return 0
        raise
    return offset


def tell_run(home: Home, text: str, command: AnyCommand, keeper: Keeper) -> Path:
    """Pass a command to the living run that a name, path or beginning of a name means; a run that
    waits to go on by itself can be told to stay paused."""
    folder = runs.find(home, text)
    jobs.refuse_newer(folder)
    state = runs.state_of(folder)
    may_stay = isinstance(command, Pause) and guard.waits(state)
    if not (may_stay or jobs.living(folder) or _known(keeper, folder)):
        raise StudioError(
            "The run is not at work",
            f"“{folder.name}” is {state.state}, so there is nobody to tell.",
            f"Take it up with: finetune-studio resume {folder.name}"
            if "resume" in allowed(state)
            else "See which runs are at work with: finetune-studio runs",
        )
    keeper.tell(folder, command)
    return folder


def follow_run(
    keeper: Keeper,
    folder: Path,
    offset: int = 0,
    *,
    hear: Hear | None = None,
    orders: Orders | None = None,
    given_up: Asked = lambda: False,
) -> Outcome:
    """As `wait`, also through the times in which the run waits to go on by itself; whoever gives
    up then leaves it waiting."""
    outcome = wait(keeper, folder, offset, hear, orders)
    while guard.waits(outcome.state):
        offset = end_of_log(folder)
        if not _goes_on(keeper, folder, given_up):
            break
        outcome = wait(keeper, folder, offset, hear, orders)
    return outcome


def _goes_on(keeper: Keeper, folder: Path, given_up: Asked) -> bool:
    while guard.waits(runs.state_of(folder)):
        if given_up():
            return False
        try:
            keeper.receive(LOOK_SECONDS)
        except KeeperLost:
            keeper.watch_again(folder, end_of_log(folder))
    return True


def end_of_log(folder: Path) -> int:
    """The byte behind the last event so far."""
    events = JobFolder(folder).events
    return events.stat().st_size if events.exists() else 0


def _known(keeper: Keeper, folder: Path) -> bool:
    return any(Path(row.folder) == folder for row in keeper.jobs())


def _silent(text: str, share: float | None) -> None:
    """Says nothing."""
