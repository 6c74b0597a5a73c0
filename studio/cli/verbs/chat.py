"""chat: talk with a model, bare or with adapters, one or several side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console
from studio.cli.interrupts import INTERRUPTED, Presses, watched
from studio.cli.numbers import number, whole
from studio.cli.talking import Talking
from studio.client import actions
from studio.client.keeper import Keeper
from studio.core.chats import Answer, Kept
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.library import adapters, chats, gguf_files
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

SAMPLING = ("max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed")
_DEFAULTS = {
    "max_new_tokens": 256, "temperature": 0.7, "top_p": 0.95, "top_k": 0,
    "repetition_penalty": 1.0, "seed": 0,
}  # fmt: skip


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of chat."""
    about = (
        "Talk with a model. With --prompt one answer is given; without it every line of standard "
        "input is answered in turn, and lines that begin with / are commands (/help). Several "
        "--adapter and --gguf answer side by side. Ctrl-C ends an answer, Ctrl-D the conversation."
    )
    one = parsers.add_parser("chat", parents=[shared], help="talk with a model", description=about)
    one.add_argument("--model", metavar="DIR", help="a model; without it the adapter's base")
    one.add_argument(
        "--adapter", metavar="DIR", action="append", help="an adapter: folder or name; repeatable"
    )
    one.add_argument(
        "--gguf", metavar="FILE", action="append",
        help="a GGUF file, run by llama.cpp; beside adapters and --model, or alone; repeatable",
    )  # fmt: skip
    one.add_argument("--bare", action="store_true", help="the bare model answers too, first")
    one.add_argument("--prompt", metavar="TEXT", help="ask this, and leave")
    one.add_argument("--system", metavar="TEXT", help="a system prompt")
    one.add_argument("--continue", dest="resumed", metavar="ID", help="go on with one of “chats”")
    one.add_argument("--max-new-tokens", type=whole(1), metavar="N")
    one.add_argument("--temperature", type=number(0), help="0 is greedy (0.7)")
    one.add_argument("--top-p", type=number(0, 1), help="0.95")
    one.add_argument("--top-k", type=whole(0), help="of how many tokens; 0 of all")
    one.add_argument("--repetition-penalty", type=number(0.1, 10), help="above 1 repeats less")
    one.add_argument("--seed", type=whole(0))
    bits = one.add_mutually_exclusive_group()
    bits.add_argument("--4bit", dest="bits", action="store_const", const="4", help="base in NF4")
    bits.add_argument("--16bit", dest="bits", action="store_const", const="16")
    one.set_defaults(run=_chat, bits="auto")


def _chat(home: Home, options: argparse.Namespace, console: Console) -> int:
    if console.json and options.prompt is None:
        raise StudioError(
            "A prompt is needed",
            "With --json one question is answered.",
            "Give it with --prompt TEXT.",
        )
    kept = _conversation(home, options)
    model, sides = _who(home, options, kept)
    held = [Path(side) for side in sides if side]
    actions.need_for(str(model), *sides)
    kept.model, kept.model_name, kept.sides = str(model), model.name, sides
    with (
        watched(Cancel, lambda text: None) as presses,
        Keeper.connect(home, name="chat") as keeper,
        actions.open_chat(
            home, model, held, keeper=keeper, bits=options.bits or "auto", hear=console.hear,
            cancelled=presses.pressed,
        ) as conversation,
    ):  # fmt: skip
        talking = Talking(home, conversation, kept, console, presses.pressed)
        talking.saved = bool(options.resumed)
        if options.prompt is None:
            _lines(talking, console, presses)
            return 0
        answers = talking.ask(options.prompt)
        console.result(_result(answers, kept if talking.saved else None), [""])
        return INTERRUPTED if presses.count else 0


def _lines(talking: Talking, console: Console, presses: Presses) -> None:
    """Answer every line of standard input until it ends."""
    asking = sys.stdin.isatty()
    if asking:
        console.remark("/help lists the commands, Ctrl-D ends the conversation.")
    while True:
        if asking:
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        presses.count = 0
        try:
            if not talking.take(line.strip()):
                return
        except StudioError as error:
            console.error(error)


def _conversation(home: Home, options: argparse.Namespace) -> Kept:
    """The one to go on with, or a new one; what the arguments say goes before what was kept."""
    kept = chats.load(home, chats.find(home, options.resumed)) if options.resumed else chats.new()
    given = {name: getattr(options, name) for name in SAMPLING}
    before = {name: value for name, value in kept.sampling.items() if name in SAMPLING}
    if before.get("seed", 0) < 0:
        del before["seed"]  # the window draws one for each question
    kept.sampling = _DEFAULTS | before | {n: v for n, v in given.items() if v is not None}
    if options.system is not None:
        kept.system = options.system
    return kept


def _who(home: Home, options: argparse.Namespace, kept: Kept) -> tuple[Path, list[str]]:
    """The model's folder, and the sides that answer."""
    files = [gguf_files.find(text) for text in options.gguf or ()]
    if files and not options.adapter and not options.model and not kept.model:
        return files[0], ["", *map(str, files[1:])]
    named = [str(adapters.find(home, text)) for text in options.adapter or ()]
    named += map(str, files)
    if not named and not options.bare and not options.model:
        named = [side for side in kept.sides if side]
        bare = "" in kept.sides
    else:
        bare = options.bare
    sides = ([""] if bare or not named else []) + named
    if options.model:
        return actions.model_folder(home, options.model), sides
    if kept.model and Path(kept.model).exists():
        return Path(kept.model), sides
    if not named:
        raise StudioError(
            "Nobody to talk to", "Neither a model nor an adapter was named.", "Give --model DIR."
        )
    return adapters.base_of(home, adapters.facts(Path(named[0]))), sides


def _result(answers: list[Answer], kept: Kept | None) -> dict[str, Any]:
    """What the first side said; with several, what each did."""
    told = [_told(answer) for answer in answers]
    result = {name: value for name, value in told[0].items() if name != "adapter"}
    if len(told) > 1:
        result["answers"] = told
    return result | ({"chat": kept.id} if kept else {})


def _told(answer: Answer) -> dict[str, Any]:
    return {
        "adapter": answer.side,
        "text": answer.text,
        "tokens": answer.tokens,
        "tokens_per_second": answer.tokens_per_second,
        "stopped": answer.stage == "stopped",
        "prompt_tokens": answer.prompt_tokens,
        "reused_tokens": answer.reused_tokens,
        "first_token_seconds": answer.first_token_seconds,
    }
