"""chats: list, show, search, export, rename, delete what was talked about."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from studio.cli.console import Console, table
from studio.core.chats import Entry
from studio.library import chat_export, chats
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of chats and its own verbs."""
    about = "The conversations kept, the window's too. ID is a name, its beginning or a title."
    whole = parsers.add_parser(
        "chats", parents=[shared], help="list, show, search, export, delete", description=about
    )
    whole.set_defaults(run=_list, words=[])
    inner = whole.add_subparsers(dest="action", metavar="ACTION")
    inner.add_parser("list", parents=[shared], help="all conversations")
    search = inner.add_parser("search", parents=[shared], help="in titles and texts")
    search.add_argument("words", nargs="+", metavar="WORD")
    show = inner.add_parser("show", parents=[shared], help="one conversation, as Markdown")
    show.add_argument("chat", metavar="ID")
    show.set_defaults(run=_show)
    export = inner.add_parser("export", parents=[shared], help="as .md, or as rows in .jsonl")
    export.add_argument("chat", metavar="ID")
    export.add_argument("--out", required=True, type=Path, metavar="FILE")
    export.set_defaults(run=_export)
    rename = inner.add_parser("rename", parents=[shared], help="give one another title")
    rename.add_argument("chat", metavar="ID")
    rename.add_argument("title", metavar="TITLE")
    rename.set_defaults(run=_rename)
    delete = inner.add_parser("delete", parents=[shared], help="move one to the trash")
    delete.add_argument("chat", metavar="ID")
    delete.set_defaults(run=_delete)


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    found = chats.listing(home, " ".join(options.words))
    none = "Nothing found." if options.words else "No conversations yet."
    console.result([msgspec.to_builtins(entry) for entry in found], _lines(found) or [none])
    return 0


def _lines(found: Sequence[Entry]) -> list[str]:
    if not found:
        return []
    rows = [
        (e.id, time.strftime("%Y-%m-%d %H:%M", time.localtime(e.changed_at)), str(e.turns),
         e.model_name, e.title)
        for e in found
    ]  # fmt: skip
    lines = table(rows, ("ID", "CHANGED", "TURNS", "MODEL", "TITLE"))
    lines += [f"{entry.id}: {entry.found}" for entry in found if entry.found]
    return lines + [f"{entry.id}: {entry.problem}" for entry in found if entry.problem]


def _show(home: Home, options: argparse.Namespace, console: Console) -> int:
    kept = chats.load(home, chats.find(home, options.chat))
    console.result(msgspec.to_builtins(kept), [chat_export.markdown(kept).rstrip()])
    return 0


def _export(home: Home, options: argparse.Namespace, console: Console) -> int:
    kept = chats.load(home, chats.find(home, options.chat))
    path = chat_export.write(kept, options.out.expanduser())
    told = {"path": str(path.absolute()), "bytes": path.stat().st_size}
    console.result(told, [f"Written to {path}"])
    return 0


def _rename(home: Home, options: argparse.Namespace, console: Console) -> int:
    kept = chats.rename(home, chats.find(home, options.chat), options.title)
    console.result({"id": kept.id, "title": kept.title}, [f"It is called “{kept.title}” now."])
    return 0


def _delete(home: Home, options: argparse.Namespace, console: Console) -> int:
    id = chats.find(home, options.chat)
    entry = chats.delete(home, id)
    told = {"id": id, "title": entry.title, "trash": entry.path}
    console.result(told, [f"“{entry.title}” is in the trash: {entry.path}"])
    return 0
