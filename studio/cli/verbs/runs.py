"""runs, stop, pause, save, sample: what there is, what it is called, and orders to what lives."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console, number, table
from studio.cli.interrupts import watched
from studio.cli.verbs.train import follow
from studio.client import actions
from studio.client.keeper import Keeper
from studio.core import guard
from studio.core.commands import AnyCommand, Cancel, Pause, Sample, Save, Stop
from studio.core.errors import StudioError
from studio.core.queue import Queue
from studio.library import jobs, queue, runs
from studio.library.folders import Home
from studio.library.runs import RunRow

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

ORDERS: dict[str, tuple[type[AnyCommand], str]] = {
    "stop": (Stop, "finish the step, keep what was learnt, end"),
    "pause": (Pause, "finish the step, save a checkpoint, give all memory back"),
    "save": (Save, "save a checkpoint now and go on"),
    "sample": (Sample, "answer the fixed prompts now and go on"),
}


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parsers of runs and of the orders to a run."""
    about = "Runs of this home, the newest first, and every job at work."
    listing = parsers.add_parser("runs", parents=[shared], help="list runs", description=about)
    listing.set_defaults(run=_runs)
    _add_changes(listing, shared)
    for name, (command, text) in ORDERS.items():
        about = f"Tell a run that is at work to {text}."
        one = parsers.add_parser(name, parents=[shared], help=text, description=about)
        one.add_argument("which", metavar="RUN", help="name, beginning of a name, or folder")
        one.set_defaults(run=_order, command=command)


def _add_changes(listing: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    what = listing.add_subparsers(dest="what", metavar="WHAT")
    one = what.add_parser("rename", parents=[shared], help="give a run another name")
    one.add_argument("which", metavar="RUN", help="name, beginning of a name, or folder")
    one.add_argument("name", metavar="NAME", help="what it is to be called")
    one.set_defaults(run=_rename)
    one = what.add_parser("delete", parents=[shared], help="move a run to the studio's trash")
    one.add_argument("which", metavar="RUN", help="name, beginning of a name, or folder")
    one.set_defaults(run=_delete)


def _runs(home: Home, options: argparse.Namespace, console: Console) -> int:
    now = _queue(home)
    rows = [described(row, now) for row in runs.listing(home)]
    lines = table([_cells(row) for row in rows], ("NAME", "KIND", "STATE", "STEPS", "LOSS"))
    console.result(rows, lines if rows else ["No runs yet."])
    return 0


def _queue(home: Home) -> Queue:
    """Also where the file can't be read: that is said by queue, and by the keeper's log."""
    with contextlib.suppress(StudioError):
        return queue.in_step(home, queue.load(home))
    return Queue()


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = row["why"] or row["state"]
    if row["place"]:
        state += f", number {row['place']} in the queue"
    return row["name"], row["kind"], state, str(row["steps"]), number(row["train_loss"])


def described(row: RunRow, now: Queue) -> dict[str, Any]:
    """A run as JSON has it; `place` is the one in the queue, 0 where the queue is at it."""
    state = row.state
    known = _known(row)
    return {
        "run": str(row.path),
        "name": row.name,
        "kind": row.kind,
        "state": known,
        "why": "" if row.living else guard.headline(state),
        "living": row.living,
        "place": _place(row.name, now),
        "steps": state.step,
        "total_steps": state.total_steps,
        "train_loss": state.train_loss,
        "eval_loss": state.best_eval_loss,
        "adapter": state.result.get("adapter"),
        "created_at": state.created_at,
        "text": state.text,
    }


def _place(name: str, now: Queue) -> int | None:
    if name in now.waiting:
        return now.waiting.index(name) + 1
    return 0 if name == now.current else None


def _known(row: RunRow) -> str:
    """The log of an engine that is just loading, or died with its keeper, says it later."""
    state = row.state.state
    if row.living:
        return state if state in ("finished", "cancelled") else "running"
    return "crashed" if state == "running" else state


def _rename(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = runs.rename(home, _run_of(home, options.which), options.name)
    told = {"run": str(folder), "name": folder.name}
    console.result(told, [f"It is called {folder.name} now."])
    return 0


def _delete(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = _run_of(home, options.which)
    trashed = runs.delete(home, folder)
    told = {"name": folder.name, "trash": trashed.path}
    console.result(told, [f"{folder.name} is in the trash: {trashed.path}"])
    return 0


def _run_of(home: Home, which: str) -> Path:
    folder = runs.find(home, which)
    if folder.resolve().parent != home.runs.resolve():
        raise StudioError(
            "Not a run of this studio",
            f"{folder} is no run under {home.runs}.",
            "List them with: finetune-studio runs",
        )
    return folder


def _order(home: Home, options: argparse.Namespace, console: Console) -> int:
    with Keeper.connect(home, name=options.verb) as keeper:
        folder = runs.find(home, options.which)
        command = options.command()
        if runs.state_of(folder).kind != "train" and isinstance(command, Stop):
            command = Cancel()
        offset = _begin(folder)
        actions.tell_run(home, str(folder), command, keeper)
        if isinstance(command, Stop | Pause):
            with watched(Stop, console.remark) as presses:
                return follow(keeper, folder, offset, presses, console)
        if isinstance(command, Cancel):
            actions.wait(keeper, folder, offset, console.hear)
    told = {"run": str(folder), "name": folder.name, "told": options.verb}
    console.result(told, [f"{folder.name}: told to {options.verb}."])
    return 0


def _begin(folder: Path) -> int:
    """Where the events begin that an order brings about."""
    waits = guard.waits(runs.state_of(folder))
    return actions.end_of_log(folder) if waits or jobs.living(folder) else 0
