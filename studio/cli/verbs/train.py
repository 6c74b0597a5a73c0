"""train, resume: follow a run to its end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console, number, problem_lines, size
from studio.cli.interrupts import INTERRUPTED, Presses, watched
from studio.client import actions
from studio.client.actions import Outcome
from studio.client.keeper import Keeper
from studio.client.preparer import Preparer
from studio.core import guard
from studio.core.commands import Stop
from studio.library import runs
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parsers of train and resume."""
    about = "Train by a recipe. Ctrl-C stops and keeps what was learnt; a second one cancels."
    train = parsers.add_parser(
        "train", parents=[shared], help="train by a recipe", description=about
    )
    train.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file")
    train.set_defaults(run=_train)
    about = "Take a run up where it ended, or attach to one that is at work."
    resume = parsers.add_parser("resume", parents=[shared], help="take a run up", description=about)
    resume.add_argument("which", metavar="RUN", help="name, beginning of a name, or folder")
    resume.set_defaults(run=_resume)


def follow(keeper: Keeper, folder: Path, offset: int, presses: Presses, console: Console) -> int:
    """Hear a run to its end, also while it waits to go on by itself; say its result; the exit
    status."""
    outcome = actions.follow_run(
        keeper,
        folder,
        offset,
        hear=console.hear,
        orders=presses.order,
        given_up=presses.pressed,
    )
    result = summary(folder, outcome)
    console.result(result, _lines(result))
    return INTERRUPTED if presses.count else 0


def summary(folder: Path, outcome: Outcome) -> dict[str, Any]:
    """The result of a run; raises where it has none. A paused run has its state alone."""
    state = outcome.state
    result = {} if state.state == "paused" else outcome.result(f"The run “{folder.name}”")
    known = {
        "run": str(folder),
        "name": folder.name,
        "state": state.state,
        "why": guard.headline(state),
        "steps": state.step,
        "train_loss": state.train_loss,
        "eval_loss": state.best_eval_loss,
        "adapter": None,
        "model": None,
        "tokens_per_second": state.tokens_per_second,
        "peak_bytes": state.peak_bytes or None,
    }
    return known | result | {"run": str(folder), "state": state.state}


def warn(console: Console, found: list[Any]) -> None:
    """Say the problems of a recipe that don't block."""
    for line in problem_lines(found):
        console.remark(line)


def _train(home: Home, options: argparse.Namespace, console: Console) -> int:
    data = actions.load(options.recipe)
    with watched(Stop, console.remark) as presses, Keeper.connect(home, name="train") as keeper:
        with Preparer(home) as preparer:
            folder = actions.prepare_run(
                home,
                data,
                keeper=keeper,
                preparer=preparer,
                progress=console.progress,
                warn=lambda found: warn(console, found),
                cancelled=presses.pressed,
            )
        keeper.start(folder)
        return follow(keeper, folder, 0, presses, console)


def _resume(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = runs.find(home, options.which)
    with watched(Stop, console.remark) as presses, Keeper.connect(home, name="resume") as keeper:
        offset = actions.resume_run(home, folder, keeper=keeper)
        return follow(keeper, folder, offset, presses, console)


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [
        f"Run      {result['run']} ({result['state']} after {result['steps']} steps)",
        *([f"Why      {result['why']}"] if result["why"] else []),
        f"Loss     {number(result['train_loss'])} training, {number(result['eval_loss'])} held out",
    ]
    if result["tokens_per_second"]:
        lines.append(f"Speed    {result['tokens_per_second']:.0f} tokens/s")
    if result["peak_bytes"]:
        lines.append(f"Memory   {size(result['peak_bytes'])} at most")
    for key in ("adapter", "model"):
        if result[key]:
            lines.append(f"{key.capitalize():<8} {result[key]}")
    return lines
