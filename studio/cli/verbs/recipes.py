"""check: everything that is wrong with a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from studio.cli.console import Console, problem_lines
from studio.client import actions
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of check."""
    about = "Name every problem of a recipe at once. Exit status 1 when one blocks."
    check = parsers.add_parser("check", parents=[shared], help="check a recipe", description=about)
    check.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file")
    check.set_defaults(run=_check)


def _check(home: Home, options: argparse.Namespace, console: Console) -> int:
    recipe = actions.load(options.recipe)
    checked = actions.examine(home, recipe, progress=console.progress)
    blocked = bool(checked.blocking)
    lines = problem_lines(checked.problems)
    console.result(
        {"problems": [msgspec.to_builtins(problem) for problem in checked.problems]},
        [*lines, "The recipe can't be run." if blocked else "The recipe can be run."],
    )
    return 1 if blocked else 0
