"""datasets: list, build, copy, delete the studio's own sets of rows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from studio.cli.console import Console, problem_lines, size, table
from studio.cli.interrupts import watched
from studio.cli.numbers import whole
from studio.client import actions
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.own_sets import ORIGINS, Built, OwnSet
from studio.core.recipe import DatasetPart
from studio.library import own_datasets, ratings
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of datasets and its own verbs."""
    about = "The studio's own sets of rows. Their names stand wherever a dataset may."
    whole_ = parsers.add_parser(
        "datasets", parents=[shared], help="list, build, copy, delete own sets", description=about
    )
    whole_.set_defaults(run=_list)
    inner = whole_.add_subparsers(dest="action", metavar="ACTION")
    inner.add_parser("list", parents=[shared], help="own sets, the latest first")
    _add_build(inner, shared)
    copy = inner.add_parser("copy", parents=[shared], help="copy a dataset, so as to edit it")
    copy.add_argument("file", metavar="FILE", help="whatever “dataset” takes")
    copy.add_argument("--out", required=True, metavar="NAME", help="the new set's name")
    copy.set_defaults(run=_copy)
    delete = inner.add_parser("delete", parents=[shared], help="move a set into the trash")
    delete.add_argument("name", metavar="NAME")
    delete.set_defaults(run=_delete)


def _add_build(
    inner: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    one = inner.add_parser("build", parents=[shared], help="make a set of texts or rated chats")
    source = one.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from-folder", type=Path, metavar="DIR", help="texts (txt, md, …), cut into passages"
    )
    source.add_argument(
        "--from-chats", action="store_true", help="the answers rated in the studio's Chat"
    )
    one.add_argument("--out", required=True, metavar="NAME", help="the new set's name")
    one.add_argument(
        "--tokens", type=whole(1), metavar="N",
        help=f"tokens of a passage at most, as --model counts ({actions.TOKENS})",
    )  # fmt: skip
    one.add_argument("--model", metavar="DIR", help="the model that counts tokens")
    one.add_argument(
        "--characters", type=whole(1), metavar="N",
        help=f"characters of a passage at most, without a model ({actions.CHARACTERS})",
    )  # fmt: skip
    one.add_argument(
        "--overlap", type=whole(0), default=0, metavar="N",
        help="tokens or characters at most that a passage repeats of the one before (0)",
    )  # fmt: skip
    one.set_defaults(run=_build)


def _list(home: Home, options: argparse.Namespace, console: Console) -> int:
    ratings.collected(home)
    found = own_datasets.listing(home)
    cells = [(one.name, str(one.rows), size(one.size), _origin(one)) for one in found]
    empty = "No own sets yet. Make one: finetune-studio datasets build --help"
    lines = table(cells, ("NAME", "ROWS", "SIZE", "MADE OF")) if found else [empty]
    console.result(msgspec.to_builtins(found), lines)
    return 0


def _origin(one: OwnSet) -> str:
    return one.problem or ORIGINS[one.origin] + (f" of {one.source}" if one.source else "")


def _build(home: Home, options: argparse.Namespace, console: Console) -> int:
    if options.from_chats:
        return _made(actions.build_from_chats(home, options.out), console)
    _check_units(options)
    model = actions.model_folder(home, options.model) if options.model else None
    with watched(Cancel, console.remark) as presses:
        built = actions.build_from_folder(
            home,
            options.from_folder,
            options.out,
            size=options.tokens or options.characters or 0,
            overlap=options.overlap,
            model=model,
            progress=console.progress,
            cancelled=presses.pressed,
        )
    return _made(built, console)


def _check_units(options: argparse.Namespace) -> None:
    if options.tokens and not options.model:
        raise StudioError(
            "Whose tokens?", "Each model cuts text into tokens of its own.", "Give --model DIR."
        )
    if options.characters and options.model:
        raise StudioError(
            "Tokens or characters?",
            "With a model passages are measured in tokens.",
            "Give --tokens instead of --characters, or leave --model out.",
        )


def _copy(home: Home, options: argparse.Namespace, console: Console) -> int:
    with watched(Cancel, console.remark) as presses:
        built = actions.copy_dataset(
            home,
            DatasetPart(path=options.file),
            options.out,
            progress=console.progress,
            cancelled=presses.pressed,
        )
    return _made(built, console)


def _made(built: Built, console: Console) -> int:
    lines = [
        f"Set      {built.name}",
        f"Rows     {built.rows}" + (f", {built.left_out} left out" if built.left_out else ""),
        f"File     {built.path}",
        *problem_lines(built.problems),
    ]
    console.result(msgspec.to_builtins(built), lines)
    return 0


def _delete(home: Home, options: argparse.Namespace, console: Console) -> int:
    gone = own_datasets.delete(home, options.name)
    lines = [f"“{gone.name}” is in the trash, and can be brought back from {gone.path}."]
    console.result(msgspec.to_builtins(gone), lines)
    return 0
