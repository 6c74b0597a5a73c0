"""export: an adapter or a model in a form that other programs read, checked and with a passport."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from studio.cli import passport_words as words
from studio.cli.console import Console, table
from studio.cli.interrupts import watched
from studio.client import actions
from studio.core import exporting, hub
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.library import adapters, exports
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of export."""
    about = (
        "Write an adapter on its base, or a model, in a form that other programs read, and check "
        "it against the live model in its own runtime. Exit status 1 where it answers otherwise."
    )
    one = parsers.add_parser(
        "export", parents=[shared], help="export an adapter or a model", description=about
    )
    one.add_argument("what", nargs="?", choices=("formats", "list", "show"),
                     help="formats: what there is; list: what was exported (--adapter: of that "
                     "one); show: the passport of one")  # fmt: skip
    one.add_argument("which", nargs="?", metavar="EXPORT", help="for show: its folder or name")
    one.add_argument("--adapter", metavar="DIR", help="an adapter: folder or name")
    one.add_argument("--model", metavar="DIR", help="a model, exported as it is")
    one.add_argument("--base", metavar="DIR", help="the model, where the adapter's own isn't found")
    one.add_argument("--format", metavar="FORMAT", help="see: finetune-studio export formats")
    one.add_argument("--out", type=Path, metavar="PATH", help="a new or empty folder")
    one.add_argument("--dtype", choices=exporting.DTYPES, default="auto")
    one.add_argument("--quantization", metavar="KIND", default="", help="of those of the format")
    one.add_argument("--system", metavar="TEXT", default="", help="a system prompt to keep")
    one.add_argument("--onto", choices=("auto", "original", "trained"), default="auto",
                     help="for an adapter of QLoRA, as in merge")  # fmt: skip
    one.add_argument("--set", metavar="NAME=VALUE", action="append", default=[],
                     help="what else a format wants to know")  # fmt: skip
    one.add_argument("--push", metavar="OWNER/NAME", help="then put it into this hub repository")
    one.add_argument("--public", action="store_true", help="with --push: for everybody to see")
    check = one.add_mutually_exclusive_group()
    check.add_argument("--no-check", dest="check", action="store_const", const="none")
    check.add_argument("--quick-check", dest="check", action="store_const", const="quick")
    one.set_defaults(run=_export, check="full", homeless=lambda options: options.what == "formats")


def _export(home: Home, options: argparse.Namespace, console: Console) -> int:
    if options.what == "formats":
        console.result(msgspec.to_builtins(exporting.FORMATS), _formats())
        return 0
    if options.what:
        return (_list if options.what == "list" else _show)(home, options, console)
    _refuse_incomplete(options)
    if options.push:
        hub.check_name(options.push)
    adapter = adapters.find(home, options.adapter) if options.adapter else None
    named = options.base or options.model
    job = actions.export_job(
        home, options.format, options.out,
        adapter=adapter,
        model=actions.model_folder(home, named) if named else None,
        dtype=options.dtype, quantization=options.quantization, system=options.system,
        onto=options.onto, check=options.check, settings=_settings(options.set),
    )  # fmt: skip
    with watched(Cancel, console.remark) as presses:
        result = actions.export(home, job, hear=console.hear, orders=presses.order)
    failed = (result["passport"] or {}).get("grade") == "fail"
    if options.push and not failed:
        result["pushed"] = _push(home, Path(result["path"]), options, console)
    pushed = [f"Pushed   {result['pushed']}"] if "pushed" in result else []
    console.result(result, words.written(result) + pushed)
    return int(failed)


def _push(home: Home, folder: Path, options: argparse.Namespace, console: Console) -> str:
    return actions.push(
        home, folder, options.push, private=not options.public, progress=console.progress
    )


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    """Everything that was exported, or what was made of one adapter."""
    if options.adapter:
        found = exports.of_adapter(home, adapters.facts(adapters.find(home, options.adapter)))
    else:
        found = exports.every(home)
    console.result([words.plain(each) for each in found], words.listed(found))
    return 0


def _show(home: Home, options: argparse.Namespace, console: Console) -> int:
    known = exports.find(home, options.which)
    examples = exports.examples(known)
    told = words.plain(known) | {"examples": msgspec.to_builtins(examples)}
    console.result(told, words.shown(known, examples))
    return 0


def _formats() -> list[str]:
    rows = [
        (each.id, each.title, ", ".join(each.readers), _kinds(each)) for each in exporting.FORMATS
    ]
    return table(rows, ("FORMAT", "WHAT", "READ BY", "CHOICES"))


def _kinds(format: exporting.Format) -> str:
    names = [each.id for each in format.quantizations] or list(format.dtypes)
    return " ".join(names)


def _refuse_incomplete(options: argparse.Namespace) -> None:
    missing = [name for name in ("format", "out") if not getattr(options, name)]
    if not options.adapter and not options.model:
        missing.append("adapter (or --model)")
    if missing:
        raise _usage(f"An export needs --{', --'.join(missing)}.")


def _usage(text: str) -> StudioError:
    from studio.cli.program import Usage

    usage = "usage: finetune-studio export --adapter DIR | --model DIR --format FORMAT --out DIR\n"
    return Usage(text, usage, "See finetune-studio export --help, and export formats.")


def _settings(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise _usage(f"“{pair}” isn't NAME=VALUE.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
