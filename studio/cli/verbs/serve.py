"""serve: other programs of this machine talk with a model and its adapters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.console import Console
from studio.cli.interrupts import watched
from studio.cli.numbers import whole
from studio.client import actions
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Serving
from studio.library import adapters, serving
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of serve."""
    about = (
        "Answer programs of this machine as OpenAI's servers do: chat, completions and responses, "
        "streamed or whole, for a base and for each adapter by a name of its own. Nobody beyond "
        "this machine is answered, nor anybody without the key. Ctrl-C ends it."
    )
    one = parsers.add_parser(
        "serve", parents=[shared], help="let programs talk with a model", description=about
    )
    one.add_argument("--model", metavar="DIR", help="a model; without it the adapters' base")
    one.add_argument(
        "--adapter", action="append", default=[], metavar="DIR", help="folder or name; repeatable"
    )
    one.add_argument("--port", type=whole(0), default=0, metavar="N", help="else a free one")
    dtypes = ("auto", "bfloat16", "float16", "float32")
    one.add_argument(
        "--dtype", choices=dtypes, default="auto", help="the number format to compute in"
    )
    one.add_argument(
        "--bits", choices=("auto", "16", "4"), default="auto", help="auto: 4 where 16 don't fit"
    )
    one.add_argument("--new-key", action="store_true", help="make another key first")
    one.set_defaults(run=_serve)


def _serve(home: Home, options: argparse.Namespace, console: Console) -> int:
    held = [adapters.find(home, name) for name in options.adapter]
    model = _model(home, options.model, held)
    key = serving.new_key(home) if options.new_key else serving.key(home)
    with watched(Cancel, lambda text: None) as presses:
        result = actions.serve(
            home,
            model,
            held,
            port=options.port,
            dtype=options.dtype,
            bits=options.bits,
            hear=_Teller(console, key).hear,
            orders=presses.order,
        )
    console.result(result, [f"Answered {result['requests']} requests."])
    return 0


def _model(home: Home, named: str | None, held: list[Path]) -> Path:
    if named:
        return actions.model_folder(home, named)
    if not held:
        raise StudioError(
            "Nothing to serve", "Neither a model nor an adapter was named.", "Give --model DIR."
        )
    return adapters.base_of(home, adapters.facts(held[0]))


class _Teller:
    """Says how to connect, once; the key stands in no event of the job."""

    def __init__(self, console: Console, key: str) -> None:
        self._console = console
        self._key = key
        self._told = False

    def hear(self, event: AnyEvent) -> None:
        if not isinstance(event, Serving) or self._told:
            self._console.hear(event)
            return
        self._told = True
        self._console.more(event, key=self._key)
        self._console.text("\n".join(connection(event, self._key)) + "\n")


def connection(event: Serving, key: str) -> list[str]:
    """How a program connects, for people."""
    return [
        f"Address  {event.address}",
        f"Key      {key}",
        f"Models   {', '.join(event.models)}",
        "Ctrl-C ends it.",
    ]
