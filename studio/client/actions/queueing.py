"""The queue: put a recipe in, and follow the queue until it has nothing more to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Asked, Hear, Progress, wait
from studio.client.actions.runs import Warn, end_of_log, prepare_run
from studio.client.cancelled import Cancelled
from studio.client.keeper import Keeper, KeeperLost
from studio.client.preparer import Preparer
from studio.core.commands import AnyCommand
from studio.library import jobs, queue
from studio.library.folders import Home

LOOK_SECONDS = 0.2


def enqueue(
    home: Home,
    data: Any,
    *,
    keeper: Keeper,
    at: int | None = None,
    preparer: Preparer | None = None,
    progress: Progress | None = None,
    warn: Warn | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """`prepare_run`, then put the run into the queue, at a place counted from 0; its folder."""
    folder = prepare_run(
        home,
        data,
        keeper=keeper,
        preparer=preparer,
        progress=progress,
        warn=warn,
        cancelled=cancelled,
    )
    keeper.queue_add(folder, at)
    return folder


def follow_queue(
    home: Home, *, keeper: Keeper, hear: Hear | None = None, given_up: Asked = lambda: False
) -> list[str]:
    """Hear the runs of a running queue until it stops; the names of those whose turn has come.

    Whoever gives up gets Cancelled, and the queue goes on without them.
    """

    def leave() -> AnyCommand | None:
        if given_up():
            raise Cancelled("Following the queue")
        return None

    seen: dict[str, int] = {}
    while (now := queue.in_step(home, queue.load(home))).running:
        for name in (now.current, *now.waiting):
            if name:
                seen.setdefault(name, -1)
        leave()
        folder = home.runs / now.current
        if now.current and jobs.living(folder):
            wait(keeper, folder, max(seen[now.current], now.offset), hear, leave)
            seen[now.current] = end_of_log(folder)
        else:
            _pass_time(keeper)
    return [name for name in seen if name not in now.waiting]


def _pass_time(keeper: Keeper) -> None:
    """A moment, in which what was pushed is dropped; the next keeper is found or started."""
    try:
        keeper.receive(LOOK_SECONDS)
    except KeeperLost:
        keeper.connect_again()
