"""merge: base and adapter become one model folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console, size
from studio.cli.interrupts import watched
from studio.cli.verbs.export import passport_lines
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
    one.add_argument(
        "--onto",
        choices=("auto", "original", "trained"),
        default="auto",
        help="for an adapter of QLoRA: the 16-bit original, or the 4-bit base that it was trained "
        "on written out in 16 bits; auto: the one that does better on held-out rows",
    )
    one.set_defaults(run=_merge)


BASES = {
    "original": "the 16-bit original",
    "trained": "the 4-bit base that it was trained on, in 16 bits",
}


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
            onto=options.onto,
            hear=console.hear,
            orders=presses.order,
        )
    console.result(result, lines(result))
    return int((result["passport"] or {}).get("grade") == "fail")


def lines(result: dict[str, Any]) -> list[str]:
    """A merged folder for people, with its passport in short."""
    told = [f"Model    {result['path']} ({size(result['bytes'])})"]
    if choice := result.get("base"):
        told.append(f"Base     {BASES[choice['base']]}{_losses(choice)}")
    return told + passport_lines(result.get("passport"))


def _losses(choice: dict[str, Any]) -> str:
    """What both bases came to, or nothing where they weren't scored."""
    if not choice["losses"]:
        return ""
    original, trained = choice["losses"]["original"], choice["losses"]["trained"]
    return f" (held-out loss {original:.4f} on the original, {trained:.4f} on the 4-bit base)"
