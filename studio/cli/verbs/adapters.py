"""adapters: list, show, import, rename, note, tag, locate, delete, restore, trash."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from studio.cli import adapter_words as words
from studio.cli.console import Console, table
from studio.client import actions
from studio.core.errors import StudioError
from studio.library import adapters, trash
from studio.library.adapters import AdapterFacts, history, search
from studio.library.folders import Home
from studio.library.trash import Trashed

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

Run = Callable[[Home, argparse.Namespace, Console], int]


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of adapters and its own verbs."""
    about = "The adapters in the library."
    whole = parsers.add_parser(
        "adapters", parents=[shared], help="list, import, find, tag, delete", description=about
    )
    inner = whole.add_subparsers(dest="action", metavar="ACTION")
    whole.set_defaults(run=_list, words=[], tag="", base="", sort="date")

    def verb(name: str, run: Run, help: str, *, adapter: bool = True) -> argparse.ArgumentParser:
        one = inner.add_parser(name, parents=[shared], help=help, description=help)
        if adapter:
            one.add_argument("adapter", metavar="ADAPTER", help="its name or folder")
        one.set_defaults(run=run)
        return one

    _add_list(verb("list", _list, "adapters in the library", adapter=False))
    verb("show", _show, "all that is known of one")
    _add_import(verb("import", _import, "copy adapters made elsewhere in", adapter=False))
    verb("rename", _rename, "give one another name").add_argument("name", metavar="NAME")
    note = verb("note", _note, "write its notes anew")
    note.add_argument("text", metavar="TEXT", help="“” takes them away")
    tag = verb("tag", _tag, "add tags, or take them away")
    tag.add_argument("tags", nargs="*", metavar="TAG")
    tag.add_argument("--remove", nargs="+", default=[], metavar="TAG", help="take these away")
    _add_locate(verb("locate", _locate, "find its base, or say where that lies"))
    verb("delete", _delete, "move one to the trash")
    verb("restore", _restore, "take one out of the trash again")
    _add_trash(verb("trash", _trash, "what lies in the trash", adapter=False))


def _add_list(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "words", nargs="*", metavar="WORD", help="those that have every word somewhere"
    )
    one.add_argument("--tag", default="", help="those with this tag")
    one.add_argument("--base", default="", metavar="NAME", help="those of this base")
    one.add_argument("--sort", choices=tuple(search.SORTS), default="date")


def _add_import(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "source", nargs="+", type=Path, metavar="PATH",
        help="a PEFT folder, a zip archive of some, or a GGUF adapter",
    )  # fmt: skip
    one.add_argument("--base", metavar="DIR", help="the model they belong on, where it isn't found")


def _add_locate(one: argparse.ArgumentParser) -> None:
    one.add_argument("--base", metavar="DIR", help="where its base lies; without it: look for it")
    one.add_argument(
        "--anyway", action="store_true",
        help="take a model of the same shapes that isn't the one it was trained on",
    )  # fmt: skip


def _add_trash(one: argparse.ArgumentParser) -> None:
    group = one.add_mutually_exclusive_group()
    group.add_argument("--erase", metavar="ADAPTER", help="delete this one for good")
    group.add_argument("--empty", action="store_true", help="delete all adapters in it for good")


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    every = adapters.listing(home)
    asked = " ".join(options.words)
    found = search.found(every, asked, tag=options.tag, base=options.base)
    found = search.ordered(found, options.sort)
    nothing = ["No adapters yet." if not every else "No adapter is like that."]
    console.result([row_of(facts) for facts in found], words.listed(found) or nothing)
    return 0


def row_of(facts: AdapterFacts) -> dict[str, Any]:
    """An adapter as JSON has it."""
    row: dict[str, Any] = msgspec.to_builtins(facts)
    return row | {"size": facts.bytes, "folder": facts.folder}


def _show(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = adapters.find(home, options.adapter)
    facts = adapters.facts_or_problem(folder)
    told, recipe = history.read(folder), history.recipe_of(folder)
    made_into = adapters.children(facts, adapters.listing(home))
    more = {
        "recipe": str(recipe) if recipe else None,
        "history": msgspec.to_builtins(told),
        "children": [each.name for each in made_into],
    }
    lines = words.shown(facts, told, recipe, made_into)
    console.result(row_of(facts) | more, lines)
    return 0


def _import(home: Home, options: argparse.Namespace, console: Console) -> int:
    base = actions.model_folder(home, options.base) if options.base else None
    taken = [path for source in options.source for path in adapters.import_path(home, source, base)]
    rows = [adapters.facts(path) for path in taken]
    lines = [line for row in rows for line in words.in_short(row)]
    one = row_of(rows[0]) if len(rows) == 1 else [row_of(row) for row in rows]
    console.result(one, lines)
    return 0


def _rename(home: Home, options: argparse.Namespace, console: Console) -> int:
    facts = adapters.rename(home, adapters.find(home, options.adapter), options.name)
    console.result(row_of(facts), [f"It is called {facts.name} now."])
    return 0


def _note(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = adapters.find(home, options.adapter)
    facts = adapters.annotate(home, folder, notes=options.text)
    console.result(row_of(facts), [f"Notes of {facts.name}: {facts.notes or 'none'}"])
    return 0


def _tag(home: Home, options: argparse.Namespace, console: Console) -> int:
    if not options.tags and not options.remove:
        raise StudioError("No tag", "There is no tag to add or take away.", "Name one.")
    folder = adapters.find(home, options.adapter)
    gone = {tag.lower() for tag in options.remove}
    kept = [tag for tag in adapters.facts(folder).tags if tag.lower() not in gone]
    facts = adapters.annotate(home, folder, tags=[*kept, *options.tags])
    console.result(row_of(facts), [f"Tags of {facts.name}: {', '.join(facts.tags) or 'none'}"])
    return 0


def _locate(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = adapters.find(home, options.adapter)
    if options.base:
        named = actions.model_folder(home, options.base)
        adapters.locate(home, folder, named, anyway=options.anyway)
    facts = adapters.facts(folder)
    base = adapters.base_of(home, facts)
    lines = [f"{facts.name} belongs on {base}."]
    console.result(row_of(facts) | {"base_folder": str(base)}, lines)
    return 0


def _delete(home: Home, options: argparse.Namespace, console: Console) -> int:
    folder = adapters.find(home, options.adapter)
    entry = adapters.delete(home, folder)
    told = {"path": str(folder), "name": entry.title, "trash": entry.path}
    lines = [
        f"{entry.title} is in the trash. Back: finetune-studio adapters restore “{entry.title}”"
    ]
    console.result(told, lines)
    return 0


def _restore(home: Home, options: argparse.Namespace, console: Console) -> int:
    entry = _in_trash(home, options.adapter)
    facts = adapters.facts_or_problem(adapters.restore(home, entry))
    console.result(row_of(facts), [f"{facts.name} is back in the library."])
    return 0


def _trash(home: Home, options: argparse.Namespace, console: Console) -> int:
    found = adapters.deleted(home)
    gone = [_in_trash(home, options.erase)] if options.erase else found if options.empty else []
    for entry in gone:
        trash.erase(entry)
    if options.erase or options.empty:
        said = [f"{entry.title} is deleted for good." for entry in gone]
        console.result([msgspec.to_builtins(entry) for entry in gone], said or [words.NO_TRASH])
        return 0
    cells = [(entry.title, words.date(entry.deleted_at), entry.path) for entry in found]
    lines = table(cells, ("NAME", "DELETED", "FOLDER")) if found else [words.NO_TRASH]
    console.result([msgspec.to_builtins(entry) for entry in found], lines)
    return 0


def _in_trash(home: Home, text: str) -> Trashed:
    """The latest of that name, or the one that lies at that path."""
    found = adapters.deleted(home)
    for entry in found:
        if text in (entry.title, entry.name, entry.path):
            return entry
    names = ", ".join(entry.title for entry in found[:5]) or "none"
    raise StudioError(
        "Not in the trash",
        f"There is no adapter called {text} in the trash.",
        f"Adapters in the trash: {names}.",
    )
