"""Runs: check, create, prepare and start; take up again; tell a living one something."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Asked, Progress
from studio.client.actions.recipes import examine, machine_now, refusal
from studio.client.actions.starter import ensure_model
from studio.client.keeper import Keeper, KeeperLost
from studio.client.preparer import Preparer
from studio.core.commands import AnyCommand, Train
from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.core.run_state import allowed
from studio.library import jobs, models, runs
from studio.library.folders import Home, JobFolder

Warn = Callable[[list[Problem]], None]


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
    checked = examine(home, data, preparer=preparer, machine=machine)
    if checked.recipe is None or checked.blocking:
        raise refusal(checked.problems)
    if warn:
        warn(checked.problems)
    model = models.resolve(home, checked.recipe.model)
    folder = runs.create(home, checked.recipe)
    try:
        preparer.prepare(folder, checked.recipe, model, on_progress=say, cancelled=cancelled)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
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
    events = JobFolder(folder).events
    offset = events.stat().st_size if events.exists() else 0
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
    """Pass a command to the living run that a name, path or beginning of a name means."""
    folder = runs.find(home, text)
    if not jobs.living(folder) and not _known(keeper, folder):
        state = runs.state_of(folder)
        raise StudioError(
            "The run is not at work",
            f"“{folder.name}” is {state.state}, so there is nobody to tell.",
            f"Take it up with: finetune-studio resume {folder.name}"
            if "resume" in allowed(state)
            else "See which runs are at work with: finetune-studio runs",
        )
    keeper.tell(folder, command)
    return folder


def _known(keeper: Keeper, folder: Path) -> bool:
    return any(Path(row.folder) == folder for row in keeper.jobs())


def _silent(text: str, share: float | None) -> None:
    """Says nothing."""
