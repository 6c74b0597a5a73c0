"""mix: several adapters of one base become one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from studio.cli.console import Console, problem_lines, size, table
from studio.cli.interrupts import watched
from studio.client import actions
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.mix_problems import blocks
from studio.core.mixing import METHODS, SIGNS, Mix, parts_of
from studio.core.problem import Problem
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of mix."""
    one = parsers.add_parser(
        "mix",
        parents=[shared],
        help="several adapters become one",
        description="Mix adapters of one base into one adapter. Exit status 1 where they can't be "
        "mixed, or where the baked adapter doesn't answer as the live mix does.",
        epilog="Methods: " + " ".join(f"{each.name}: {each.does}" for each in METHODS.values()),
    )
    one.add_argument(
        "--adapter", action="append", metavar="ADAPTER=WEIGHT", required=True, dest="adapters",
        help="a name or folder and how strongly it counts (1); once for each",
    )  # fmt: skip
    one.add_argument("--method", choices=list(METHODS), default="cat", help="cat: the exact sum")
    one.add_argument(
        "--density", type=float, default=0.5, help="the share that pruning keeps of each (0.5)"
    )
    one.add_argument(
        "--rank", type=int, default=0, help="of the result, for svd (the adapters' largest)"
    )
    one.add_argument("--seed", type=int, default=0, help="for what is dropped at random")
    one.add_argument("--sign", choices=SIGNS, default="total", help="who wins a vote of TIES")
    one.add_argument("--base", metavar="DIR", help="the model, where the adapters' isn't found")
    where = one.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, metavar="DIR", help="a new or empty folder")
    where.add_argument("--name", default="", help="a name in the library")
    where.add_argument("--check", action="store_true", help="only say what can't be mixed")
    one.add_argument(
        "--score", action="store_true",
        help="read each adapter's held-out rows with all of them and with the mix; without --out "
        "and --name nothing is written",
    )  # fmt: skip
    one.set_defaults(run=_mix)


def _mix(home: Home, options: argparse.Namespace, console: Console) -> int:
    if not (options.out or options.name or options.check or options.score):
        raise StudioError(
            "Where to?",
            "Nothing says where the mix is to be written.",
            "Add --out DIR or --name NAME; or --check, or --score.",
        )
    base = actions.model_folder(home, options.base) if options.base else None
    recipe = Mix(
        adapters=actions.ingredients(home, [_part(text) for text in options.adapters]),
        method=options.method,
        density=options.density,
        rank=options.rank,
        seed=options.seed,
        sign=options.sign,
    )
    found = actions.mix_problems(home, recipe, base)
    if options.check:
        return _say(console, found)
    for problem in found:
        if problem.severity == "warning":
            console.remark(problem.text)
    with watched(Cancel, console.remark) as presses:
        result = actions.mix(
            home,
            recipe,
            out=options.out,
            name=options.name,
            base=base,
            score=options.score,
            hear=console.hear,
            orders=presses.order,
        )
    console.result(result, lines(result))
    return int((result["passport"] or {}).get("grade") == "fail")


def _part(text: str) -> tuple[str, float]:
    try:
        return parts_of(text)
    except ValueError as error:
        raise StudioError(
            "No weight",
            f"In {text} what follows the last = is no number.",
            "Write ADAPTER=0.5, and =1 behind a name that holds a =.",
        ) from error


def _say(console: Console, found: list[Problem]) -> int:
    told = {"problems": msgspec.to_builtins(found)}
    console.result(told, problem_lines(found) or ["These can be mixed."])
    return int(blocks(found))


def lines(result: dict[str, Any]) -> list[str]:
    """A mix for people: where it is, its check in short, its scores as a table."""
    told = []
    if result["path"]:
        told.append(f"Adapter  {result['path']} ({size(result['bytes'])})")
        told.append(f"Sum      {_apart(result['apart'])}")
    if passport := result["passport"]:
        agree = f"{passport['top1']:.1%} of tokens agree with the live mix"
        told.append(f"Check    {passport['grade']}: {agree}")
    return told + _scores(result["scores"] or [])


def _apart(share: float) -> str:
    if share < 1e-4:
        return "exactly the weighted sum"
    return f"{share:.1%} away from the plain weighted sum"


def _scores(scores: list[dict[str, Any]]) -> list[str]:
    """Held-out losses: a row for the rows of each adapter, a column for whoever read them."""
    if not scores:
        return []
    names = list(scores[0]["adapters"])
    cells = [
        (
            f"{score['rows_of']} ({score['positions']:,} tokens)",
            f"{score['base']:.3f}",
            *(f"{score['adapters'][name]:.3f}" for name in names),
            f"{score['mix']:.3f}",
        )
        for score in scores
    ]
    headings = ("HELD-OUT ROWS OF", "BARE", *(name.upper() for name in names), "MIX")
    return ["", *table(cells, headings)]
