"""quickstart: the whole path on the starter model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console
from studio.cli.interrupts import INTERRUPTED, watched
from studio.cli.progress import duration
from studio.client import actions
from studio.client.keeper import Keeper
from studio.core.commands import Stop
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of quickstart."""
    about = (
        "The whole path once: fetch the starter model, train an adapter on the sample dataset, "
        "score it on rows it never saw, ask it something, merge it. A few minutes on two cores."
    )
    one = parsers.add_parser(
        "quickstart",
        parents=[shared],
        help="the whole path on the starter model",
        description=about,
    )
    one.add_argument("--out", type=Path, metavar="DIR", help="where the merged model goes")
    one.set_defaults(run=_quickstart)


def _quickstart(home: Home, options: argparse.Namespace, console: Console) -> int:
    with (
        watched(Stop, console.remark) as presses,
        Keeper.connect(home, name="quickstart") as keeper,
    ):
        result = actions.quickstart(
            home,
            options.out,
            keeper=keeper,
            progress=console.progress,
            hear=console.hear,
            orders=presses.order,
            cancelled=presses.pressed,
        )
    console.result(result, _lines(result))
    return INTERRUPTED if presses.count else 0


def _lines(result: dict[str, Any]) -> list[str]:
    return [
        "",
        f"From nothing to a merged model in {duration(result['seconds'])}.",
        f"Held-out notes turned into the exact JSON: {result['metric_before']:.0%} before, "
        f"{result['metric_after']:.0%} after.",
        f"That is on {result['rows']} notes it never saw: {result['shared_values']:.0%} of their "
        f"values are in the training notes, {result['new_patterns']:.0%} have a new wording.",
        "",
        f"You      {result['prompt']}",
        f"Before   {' '.join(result['answer_before'].split())}",
        f"After    {result['answer_after'].strip()}",
        "",
        f"Run      {result['run']}",
        f"Adapter  {result['adapter']}",
        f"Merged   {result['merged']}",
    ]
