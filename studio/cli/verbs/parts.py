"""parts: what can be added to the studio, and adding it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console, size, table
from studio.cli.interrupts import watched
from studio.client import actions
from studio.core.commands import Cancel
from studio.core.parts import Part
from studio.library import parts
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of parts and its own verbs."""
    about = "Optional parts: packages that some exports and checks need, installed on demand."
    whole = parsers.add_parser(
        "parts", parents=[shared], help="list and install optional parts", description=about
    )
    whole.set_defaults(run=_list, homeless=lambda options: True)
    inner = whole.add_subparsers(dest="action", metavar="ACTION")
    inner.add_parser("list", parents=[shared], help="the parts, and which are installed")
    install = inner.add_parser("install", parents=[shared], help="install parts; may be repeated")
    install.add_argument("names", nargs="+", metavar="NAME", help="a part, as list shows it")
    install.set_defaults(run=_install)


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    rows = [_row(part) for part in parts.every()]
    cells = [
        (row["name"], row["state"], size(row["bytes"]) if row["bytes"] else "–", row["brings"])
        for row in rows
    ]
    console.result(rows, table(cells, ("NAME", "STATE", "DOWNLOAD", "WHAT IT BRINGS")))
    return 0


def _install(home: Home, options: argparse.Namespace, console: Console) -> int:
    with watched(Cancel, console.remark) as presses:
        actions.install_parts(options.names, progress=console.progress, cancelled=presses.pressed)
    rows = [_row(parts.find(name)) for name in options.names]
    console.result(rows, [f"Installed  {row['title']} ({row['packages'][0]})" for row in rows])
    return 0


def _row(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "title": part.title,
        "state": parts.state(part),
        "brings": part.brings,
        "needed_for": list(part.needed_for),
        "packages": list(part.requirements),
        "bytes": part.size_on(parts.this_machine()),
        "licence": part.licence,
        "source": part.source,
    }
