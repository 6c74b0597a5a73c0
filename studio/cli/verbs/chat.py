"""chat: talk with a model, with or without an adapter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.console import Console
from studio.cli.interrupts import INTERRUPTED, Presses, watched
from studio.cli.numbers import number, whole
from studio.client import actions
from studio.client.actions import Conversation
from studio.client.keeper import Keeper
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.events import Answered
from studio.library import adapters
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of chat."""
    about = (
        "Talk with a model. With --prompt one answer is given; without it every line of standard "
        "input is answered in turn. Ctrl-C ends an answer, Ctrl-D the conversation."
    )
    one = parsers.add_parser("chat", parents=[shared], help="talk with a model", description=about)
    one.add_argument("--model", metavar="DIR", help="a model; without it the adapter's base")
    one.add_argument("--adapter", metavar="DIR", help="an adapter: folder or name")
    one.add_argument("--prompt", metavar="TEXT", help="ask this, and leave")
    one.add_argument("--system", metavar="TEXT", help="a system prompt")
    one.add_argument("--max-new-tokens", type=whole(1), default=256, metavar="N")
    one.add_argument("--temperature", type=number(0), default=0.7, help="0 is greedy")
    one.add_argument("--top-p", type=number(0, 1), default=0.95)
    one.add_argument("--seed", type=whole(0), default=0)
    one.set_defaults(run=_chat)


def _chat(home: Home, options: argparse.Namespace, console: Console) -> int:
    model, adapter = _who(home, options)
    if console.json and options.prompt is None:
        raise StudioError(
            "A prompt is needed",
            "With --json one question is answered.",
            "Give it with --prompt TEXT.",
        )
    held = [adapter] if adapter else []
    with (
        watched(Cancel, lambda text: None) as presses,
        Keeper.connect(home, name="chat") as keeper,
        actions.open_chat(
            home, model, held, keeper=keeper, hear=console.hear, cancelled=presses.pressed
        ) as conversation,
    ):
        talk = _Talk(conversation, options, console, presses)
        if options.prompt is None:
            talk.lines()
            return 0
        answer = talk.ask(options.prompt)
        console.result(_result(answer), [""])
        return INTERRUPTED if presses.count else 0


class _Talk:
    """One conversation at the terminal."""

    def __init__(
        self,
        conversation: Conversation,
        options: argparse.Namespace,
        console: Console,
        presses: Presses,
    ) -> None:
        self._conversation = conversation
        self._console = console
        self._presses = presses
        system = [{"role": "system", "content": options.system}] if options.system else []
        self._messages: list[dict[str, str]] = system
        names = ("max_new_tokens", "temperature", "top_p", "seed")
        self._sampling = {name: getattr(options, name) for name in names}

    def ask(self, text: str) -> Answered:
        """Say something; the answer, which is shown as it comes."""
        self._messages.append({"role": "user", "content": text})
        answer = self._conversation.say(
            self._messages,
            on_text=lambda side, piece: self._console.text(piece),
            cancelled=self._presses.pressed,
            **self._sampling,
        )[0]
        self._messages.append({"role": "assistant", "content": answer.text})
        return answer

    def lines(self) -> None:
        """Answer every line of standard input until it ends."""
        asking = sys.stdin.isatty()
        if asking:
            self._console.remark("Ctrl-D ends the conversation.")
        while True:
            if asking:
                sys.stderr.write("> ")
                sys.stderr.flush()
            line = sys.stdin.readline()
            if not line:
                return
            if not line.strip():
                continue
            self._presses.count = 0
            answer = self.ask(line.strip())
            self._console.text("\n")
            self._console.remark(f"{answer.tokens} tokens, {answer.tokens_per_second:.0f} tokens/s")


def _who(home: Home, options: argparse.Namespace) -> tuple[Path, Path | None]:
    """The model's folder, and the adapter's where one was named."""
    adapter = adapters.find(home, options.adapter) if options.adapter else None
    if options.model:
        return actions.model_folder(home, options.model), adapter
    if adapter is None:
        raise StudioError(
            "Nobody to talk to", "Neither a model nor an adapter was named.", "Give --model DIR."
        )
    return adapters.base_of(home, adapters.facts(adapter)), adapter


def _result(answer: Answered) -> dict[str, Any]:
    return {
        "text": answer.text,
        "tokens": answer.tokens,
        "tokens_per_second": answer.tokens_per_second,
        "stopped": answer.stopped,
    }
