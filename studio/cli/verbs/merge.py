"""merge: base and adapter become one model folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli import passport_words as words
from studio.cli.console import Console
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
    one.add_argument(
        "--onto",
        choices=("auto", "original", "trained"),
        default="auto",
        help="for an adapter of QLoRA: the 16-bit original, or the 4-bit base that it was trained "
        "on written out in 16 bits; auto: the one that does better on held-out rows",
    )
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
            onto=options.onto,
            hear=console.hear,
            orders=presses.order,
        )
    console.result(result, words.written(result))
    return int((result["passport"] or {}).get("grade") == "fail")
