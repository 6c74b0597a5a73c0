"""adapters: list, import, rename, delete."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from studio.cli.console import Console, number, table
from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of adapters and its own verbs."""
    about = "The adapters in the library."
    whole = parsers.add_parser(
        "adapters", parents=[shared], help="list, import, rename, delete", description=about
    )
    whole.set_defaults(run=_list)
    inner = whole.add_subparsers(dest="action", metavar="ACTION")
    inner.add_parser("list", parents=[shared], help="adapters in the library")
    imported = inner.add_parser("import", parents=[shared], help="copy a PEFT folder in")
    imported.add_argument("source", type=Path, metavar="DIR")
    imported.set_defaults(run=_import)
    rename = inner.add_parser("rename", parents=[shared], help="give one another name")
    rename.add_argument("adapter", metavar="ADAPTER")
    rename.add_argument("name", metavar="NAME")
    rename.set_defaults(run=_rename)
    delete = inner.add_parser("delete", parents=[shared], help="move one to the trash")
    delete.add_argument("adapter", metavar="ADAPTER")
    delete.set_defaults(run=_delete)


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    found = adapters.listing(home)
    cells = [
        (facts.name, facts.base_name, facts.method, str(facts.rank), number(facts.eval_loss))
        for facts in found
    ]
    lines = table(cells, ("NAME", "BASE", "METHOD", "RANK", "HELD-OUT LOSS"))
    lines += [f"{facts.name}: {facts.problem}" for facts in found if facts.problem]
    console.result([_row(facts) for facts in found], lines if found else ["No adapters yet."])
    return 0


def _row(facts: AdapterFacts) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(facts)
    return row | {"size": facts.bytes}


def _import(home: Home, options: argparse.Namespace, console: Console) -> int:
    facts = adapters.facts(adapters.import_folder(home, options.source.expanduser()))
    console.result(_row(facts), [f"Adapter  {facts.name}", f"Folder   {facts.path}"])
    return 0


def _rename(home: Home, options: argparse.Namespace, console: Console) -> int:
    facts = adapters.rename(home, adapters.find(home, options.adapter), options.name)
    console.result(_row(facts), [f"It is called {facts.name} now."])
    return 0


def _delete(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = adapters.find(home, options.adapter)
    entry = adapters.delete(home, folder)
    told = {"path": str(folder), "name": entry.name, "trash": entry.path}
    console.result(told, [f"{entry.name} is in the trash: {entry.path}"])
    return 0
