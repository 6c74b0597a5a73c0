"""queue: many runs, one after the other, also overnight."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from studio.cli.console import Console, table
from studio.cli.interrupts import Interrupted, watched
from studio.cli.numbers import whole
from studio.cli.verbs.runs import described
from studio.cli.verbs.train import warn
from studio.client import actions
from studio.client.actions import Cancelled
from studio.client.keeper import Keeper
from studio.client.preparer import Preparer
from studio.core.commands import Stop
from studio.core.errors import StudioError
from studio.core.queue import Queue, Then
from studio.library import queue, runs
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

RECIPES = (".yaml", ".yml", ".json")
BAD_ENDS = ("failed", "crashed")
THEN = {"sleep": "goes to sleep", "shut-down": "shuts down"}
GOES_ON = "The queue goes on by itself; see it with: finetune-studio queue list"


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parsers of queue."""
    about = "Runs that are trained one after the other, in the background and over restarts."
    whole_parser = parsers.add_parser(
        "queue", parents=[shared], help="train many runs, one after the other", description=about
    )
    what = whole_parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_add(what, shared)
    listing = what.add_parser("list", parents=[shared], help="what is at work and what waits")
    listing.set_defaults(run=_list)
    move = what.add_parser("move", parents=[shared], help="give a run another place")
    move.add_argument("which", metavar="RUN", help="name, beginning of a name, or folder")
    move.add_argument("place", type=whole(1), metavar="N", help="its place, counted from 1")
    move.set_defaults(run=_move)
    remove = what.add_parser("remove", parents=[shared], help="take a run out; the run stays")
    remove.add_argument("which", metavar="RUN", help="name, beginning of a name, or folder")
    remove.set_defaults(run=_remove)
    about = "Start what waits, one after the other. The keeper does it; this command returns."
    go = what.add_parser("run", parents=[shared], help="start what waits", description=about)
    _add_then(go)
    go.add_argument("--wait", action="store_true", help="follow the runs until all are done")
    go.set_defaults(run=_run)
    about = "Start nothing more. A run that is at work goes on. Also calls sleep off."
    stop = what.add_parser("stop", parents=[shared], help="start nothing more", description=about)
    stop.set_defaults(run=_stop)


def _add_add(what: Parsers, shared: argparse.ArgumentParser) -> None:
    about = "Put recipes, or runs that can be started or resumed, at the end of the queue."
    one = what.add_parser("add", parents=[shared], help="put runs in", description=about)
    one.add_argument(
        "items", nargs="+", metavar="RECIPE|RUN", help="a YAML file, or a run's name or folder"
    )
    place = one.add_mutually_exclusive_group()
    place.add_argument(
        "--first", action="store_const", const=1, dest="at", help="before all others"
    )
    place.add_argument("--at", type=whole(1), metavar="N", help="at this place, counted from 1")
    one.add_argument("--run", action="store_true", dest="go", help="and run the queue")
    _add_then(one)
    one.set_defaults(run=_add)


def _add_then(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--then",
        choices=get_args(Then),
        help="what the machine does after the last run, a minute later; kept until changed",
    )


def _add(home: Home, options: argparse.Namespace, console: Console) -> int:
    """One that can't be put in keeps no other out; all that is wrong is said at the end."""
    added: list[str] = []
    refused: list[tuple[str, StudioError]] = []
    with Keeper.connect(home, name="queue") as keeper, Preparer(home) as preparer:
        _refuse_unable(keeper, options.then)
        for item in options.items:
            at = None if options.at is None else options.at - 1 + len(added)
            try:
                folder = _put(home, item, at, keeper, preparer, console)
            except Cancelled:
                raise
            except StudioError as error:
                refused.append((item, error))
                continue
            console.remark(f"{folder.name} is in the queue.")
            added.append(folder.name)
        if added and (options.go or options.then):
            keeper.queue_run(options.go or queue.load(home).running, options.then)
    if refused:
        raise _not_queued(refused, added)
    rows = [row for row in _rows(home, queue.load(home)) if row["name"] in added]
    console.result(rows, _table(rows))
    return 0


def _not_queued(refused: list[tuple[str, StudioError]], added: list[str]) -> StudioError:
    if len(refused) == 1 and not added:
        return refused[0][1]
    found = [problem for _, error in refused for problem in error.problems]
    return StudioError(
        "Not all of them are in the queue",
        " ".join(f"{item}: {error.text}" for item, error in refused),
        " ".join(dict.fromkeys(error.fix for _, error in refused if error.fix)),
        found,
    )


def _put(
    home: Home, item: str, at: int | None, keeper: Keeper, preparer: Preparer, console: Console
) -> Path:
    if not _is_recipe(item):
        folder = runs.find(home, item)
        keeper.queue_add(folder, at)
        return folder
    with watched(Stop, console.remark) as presses:
        return actions.enqueue(
            home,
            actions.load(Path(item)),
            keeper=keeper,
            at=at,
            preparer=preparer,
            progress=console.progress,
            warn=lambda found: warn(console, found),
            cancelled=presses.pressed,
        )


def _is_recipe(item: str) -> bool:
    path = Path(item).expanduser()
    return path.is_file() or (path.suffix in RECIPES and not path.is_dir())


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    now = queue.in_step(home, queue.load(home))
    rows = _rows(home, now)
    console.result(rows, [_headline(now), *_table(rows)])
    return 0


def _move(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = runs.find(home, options.which)
    with Keeper.connect(home, name="queue") as keeper:
        if folder.name not in queue.load(home).waiting:
            raise StudioError(
                "Not in the queue",
                f"“{folder.name}” doesn't wait in the queue.",
                f"Put it in with: finetune-studio queue add {folder.name}",
            )
        now = keeper.queue_add(folder, options.place - 1)
    rows = _rows(home, now)
    console.result(rows, _table(rows))
    return 0


def _remove(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = runs.find(home, options.which)
    with Keeper.connect(home, name="queue") as keeper:
        now = keeper.queue_remove(folder)
    rows = _rows(home, now)
    console.result(rows, [f"{folder.name} is out of the queue.", *_table(rows)])
    return 0


def _run(home: Home, options: argparse.Namespace, console: Console) -> int:
    with watched(Stop, console.remark) as presses, Keeper.connect(home, name="queue") as keeper:
        _refuse_unable(keeper, options.then)
        now = keeper.queue_run(True, options.then)
        if not options.wait:
            console.result(_plain(now), [_headline(now), GOES_ON])
            return 0
        console.remark(_headline(now))
        try:
            names = actions.follow_queue(
                home, keeper=keeper, hear=console.hear, given_up=presses.pressed
            )
        except Cancelled as error:
            raise Interrupted("It is no longer followed.", GOES_ON) from error
    return _say_done(home, names, console)


def _say_done(home: Home, names: list[str], console: Console) -> int:
    every = {row.name: row for row in runs.listing(home)}
    done = [described(every[name], Queue()) for name in names if name in every]
    if text := queue.load(home).text:
        console.remark(text)
    console.result(done, _table(done) if done else ["Nothing was done."])
    return 1 if any(row["state"] in BAD_ENDS for row in done) else 0


def _stop(home: Home, options: argparse.Namespace, console: Console) -> int:
    with Keeper.connect(home, name="queue") as keeper:
        now = keeper.queue_run(False)
        at_work = [row.name for row in keeper.jobs() if row.kind == "train"]
    goes_on = [f"{name} goes on; nothing is started after it." for name in at_work]
    console.result(_plain(now), goes_on or ["Nothing more is started."])
    return 0


def _refuse_unable(keeper: Keeper, then: Then | None) -> None:
    if then in THEN and then not in keeper.machine().abilities:
        raise StudioError(
            f"No program can {'put this machine to sleep' if then == 'sleep' else 'turn it off'}",
            "The system doesn't allow it to programs of this user.",
            "Leave out --then, or set the system up for it.",
        )


def _plain(now: Queue) -> dict[str, Any]:
    known: dict[str, Any] = msgspec.to_builtins(now)
    return {key: known[key] for key in ("running", "current", "waiting", "then", "then_at", "text")}


def _rows(home: Home, now: Queue) -> list[dict[str, Any]]:
    """The run at work, at place 0, and those that wait."""
    every = {row.name: row for row in runs.listing(home)}
    names = (now.current, *now.waiting)
    return [described(every[name], now) for name in names if name in every]


def _headline(now: Queue) -> str:
    if not now.running:
        start = "Start it with: finetune-studio queue run" if now.waiting else ""
        words = [now.text or "The queue is not running.", start]
        return " ".join(word for word in words if word)
    if now.then_at:
        return (
            f"The machine {THEN[now.then]} within a minute; call it off with: "
            "finetune-studio queue stop"
        )
    after = f"; after the last run the machine {THEN[now.then]}" if now.then in THEN else ""
    return f"The queue is running{after}. {now.text}".rstrip()


def _table(rows: list[dict[str, Any]]) -> list[str]:
    cells = [
        (str(row["place"] or ""), row["name"], row["why"] or row["state"], str(row["steps"]))
        for row in rows
    ]
    return table(cells, ("PLACE", "NAME", "STATE", "STEPS")) if rows else []
