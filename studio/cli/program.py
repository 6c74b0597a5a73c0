"""From arguments to a verb, from its end to an exit status."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import studio
from studio.cli import verbs
from studio.cli.console import Console
from studio.cli.interrupts import INTERRUPTED, Interrupted
from studio.client.actions import Cancelled, Fault
from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.library.folders import Home, default_root

DONE, USERS_TO_MEND, WRONG_USAGE, OUR_FAULT = 0, 1, 2, 3

EPILOG = "Without a verb the window opens. More on each: finetune-studio VERB --help"


class Usage(StudioError):
    """The arguments make no sense; `usage` is the line that shows how they would."""

    def __init__(self, text: str, usage: str, fix: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__("Wrong usage", text, fix, problems)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """Raises Usage instead of leaving."""

    def error(self, message: str) -> NoReturn:
        text = message[:1].upper() + message[1:] + "."
        raise Usage(text, self.format_usage(), f"See {self.prog} --help.")


def parser() -> Parser:
    """The parser of the whole command line."""
    whole = Parser(
        prog="finetune-studio",
        description="Fine-tune open models on your own machine.",
        epilog=EPILOG,
    )
    whole.add_argument("--version", action="version", version=studio.__version__)
    shared = argparse.ArgumentParser(add_help=False)
    for place in (whole, shared):
        _add_shared(place)
    chosen = whole.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for module in verbs.modules():
        module.add(chosen, shared)
    return whole


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the exit status."""
    _never_choke()
    console = Console(json="--json" in arguments)
    try:
        return _run(list(arguments), console)
    except Usage as error:
        if not console.json:
            sys.stderr.write(error.usage)
        console.error(error)
        return WRONG_USAGE
    except (KeyboardInterrupt, Cancelled, Interrupted) as error:
        console.error(error if isinstance(error, StudioError) else Interrupted())
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except StudioError as error:
        console.error(error)
        return OUR_FAULT if isinstance(error, Fault) else USERS_TO_MEND
    except OSError as error:
        console.error(_of_the_system(error))
        return USERS_TO_MEND
    except Exception as error:
        traceback.print_exc()
        console.error(_unforeseen(error))
        return OUR_FAULT


def _run(arguments: list[str], console: Console) -> int:
    try:
        options = parser().parse_args(arguments)
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    named = getattr(options, "home", None)
    home = Home(named.expanduser().absolute() if named else default_root())
    if not _homeless(options):
        _make(home)
    status: int | None = options.run(home, options, console)
    return status or DONE


def _homeless(options: argparse.Namespace) -> bool:
    """Whether the verb does without the studio's folder, and so makes none."""
    homeless = getattr(options, "homeless", None)
    return homeless is not None and homeless(options)


def _make(home: Home) -> None:
    try:
        home.make()
    except OSError as error:
        raise StudioError(
            "The studio's folder can't be used",
            f"{home.root} can't be written ({error.strerror or error}).",
            "Make it writable, or name another folder with --home.",
        ) from error


def _add_shared(place: argparse.ArgumentParser) -> None:
    place.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="the studio's folder (models, runs, adapters, settings)",
    )
    place.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="one JSON object a line on standard output, and nothing else there",
    )


def _never_choke() -> None:
    """A terminal that can't show a character shows another one."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _reader_left() -> int:
    """Whoever read standard output is gone; keep the interpreter from saying so at its end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return USERS_TO_MEND


def _of_the_system(error: OSError) -> StudioError:
    """A full disk, a folder that may not be written, a file that vanished."""
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return StudioError(
        "The system refused",
        f"{what}.",
        "Check that there is room on the disk and that the folder may be written, then try again.",
    )


def _unforeseen(error: Exception) -> StudioError:
    return StudioError(
        "A fault of the studio",
        f"{type(error).__name__}: {error}",
        "Please report it with the lines above.",
    )
