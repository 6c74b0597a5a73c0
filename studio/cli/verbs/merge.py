"""merge: base and adapter become one model folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console, size
from studio.cli.interrupts import watched
from studio.client import actions
from studio.core.commands import Cancel
from studio.library import adapters
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of merge."""
    about = (
        "Merge an adapter into its base: a model folder that needs neither. Exit status 1 where it "
        "doesn't answer as the live adapter does."
    )
    one = parsers.add_parser("merge", parents=[shared], help="merge an adapter", description=about)
    one.add_argument("--adapter", required=True, metavar="DIR", help="an adapter: folder or name")
    one.add_argument("--base", metavar="DIR", help="the model, where the adapter's own isn't found")
    one.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new or empty folder")
    dtypes = ("auto", "bfloat16", "float16", "float32")
    one.add_argument("--dtype", choices=dtypes, default="auto", help="auto: as the base is stored")
    one.set_defaults(run=_merge)


def _merge(home: Home, options: argparse.Namespace, console: Console) -> int:
    adapter = adapters.find(home, options.adapter)
    base = actions.model_folder(home, options.base) if options.base else None
    with watched(Cancel, console.remark) as presses:
        result = actions.merge(
            home,
            adapter,
            options.out,
            base=base,
            dtype=options.dtype,
            hear=console.hear,
            orders=presses.order,
        )
    console.result(result, lines(result))
    return int((result["passport"] or {}).get("grade") == "fail")


def lines(result: dict[str, Any]) -> list[str]:
    """A merged folder for people, with its passport in short."""
    told = [f"Model    {result['path']} ({size(result['bytes'])})"]
    passport = result.get("passport")
    if passport:
        agree = f"{passport['top1']:.1%} of tokens agree" if "top1" in passport else ""
        told.append(f"Check    {passport.get('grade', 'done')}: {agree} with the live adapter")
    return told
