"""models: list, search, download, import."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from studio.cli.console import Console, problem_lines, size, table
from studio.cli.interrupts import watched
from studio.client import actions
from studio.client.preparer import Preparer
from studio.core.commands import Cancel
from studio.core.facts import ModelFacts
from studio.library import models, settings
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of models and its own verbs."""
    about = "Models on this machine: the studio's own and those in the Hugging Face cache."
    whole = parsers.add_parser(
        "models", parents=[shared], help="list, search, download, import", description=about
    )
    whole.set_defaults(run=_list)
    inner = whole.add_subparsers(dest="action", metavar="ACTION")
    inner.add_parser("list", parents=[shared], help="models on this machine")
    search = inner.add_parser("search", parents=[shared], help="search the hub")
    search.add_argument("text", metavar="TEXT")
    search.set_defaults(run=_search)
    download = inner.add_parser("download", parents=[shared], help="fetch a model; resumes")
    download.add_argument("name", metavar="NAME", help="organisation/name, or “starter”")
    download.add_argument("--revision", default="", help="a branch, tag or commit of the hub")
    download.set_defaults(run=_download)
    add_import(inner, shared)


def add_import(inner: Any, shared: argparse.ArgumentParser) -> None:
    """Add the parser of models import."""
    one = inner.add_parser("import", parents=[shared], help="import a GGUF file or model folder")
    one.add_argument("source", type=Path, metavar="PATH", help="a GGUF file or a model folder")
    one.add_argument("--name", default="", help="how it is called in the studio")
    one.set_defaults(run=_import)


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    rows = [_row(facts) for facts in models.listing(home)]
    cells = [(row["name"], size(row["size"]), row["architecture"], row["path"]) for row in rows]
    head = ("NAME", "SIZE", "ARCHITECTURE", "PATH")
    empty = "No models yet. Fetch one: finetune-studio models download starter"
    console.result(rows, table(cells, head) if rows else [empty])
    return 0


def _row(facts: ModelFacts) -> dict[str, Any]:
    return {
        "path": facts.path,
        "name": facts.name,
        "size": facts.tensor_bytes,
        "parameters": facts.parameters,
        "architecture": facts.architecture or facts.model_type,
        "context_length": facts.context_length,
        "licence": facts.licence,
        "problems": msgspec.to_builtins(list(facts.problems)),
    }


def _search(home: Home, options: argparse.Namespace, console: Console) -> int:
    with Preparer(home) as preparer:
        found = preparer.hub_search(options.text, settings.token(home) or "")
    rows: list[dict[str, Any]] = msgspec.to_builtins(found)
    lines = [str(row.get("id") or row.get("name")) for row in rows]
    console.result(rows, lines or ["The hub has no model that fits."])
    return 0


def _download(home: Home, options: argparse.Namespace, console: Console) -> int:
    with watched(Cancel, console.remark) as presses:
        path = actions.download_model(
            home,
            options.name,
            options.revision,
            progress=console.progress,
            cancelled=presses.pressed,
        )
    return _made(path, console)


def _import(home: Home, options: argparse.Namespace, console: Console) -> int:
    with watched(Cancel, console.remark) as presses:
        path = actions.import_model(
            home,
            options.source,
            options.name,
            hear=console.hear,
            orders=presses.order,
            progress=console.progress,
            cancelled=presses.pressed,
        )
    return _made(path, console)


def _made(path: Path, console: Console) -> int:
    facts = models.inspect(path)
    lines = [f"Model    {facts.name} ({size(facts.tensor_bytes)})", f"Folder   {facts.path}"]
    console.result(_row(facts), lines + problem_lines(facts.problems))
    return 0
