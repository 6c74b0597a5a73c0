"""One conversation at the terminal: questions, and commands that begin with a slash."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from studio.cli.console import Console
from studio.client.actions import Conversation, need_for
from studio.core.chats import BARE_NAME, Answer, Kept, Turn, requests
from studio.core.errors import StudioError
from studio.core.events import Answered
from studio.library import adapters, chats, gguf_files
from studio.library.folders import Home

_HELP = """\
/help                 this
/system [TEXT]        show the system prompt, or set it; “/system -” takes it away
/regenerate           answer the last question once more
/save [TITLE]         keep the conversation, from now on after every answer
/swap NAME …          who answers next: adapters by name, GGUF files, “bare” for the model itself
/set NAME VALUE       temperature, top_p, top_k, repetition_penalty, max_new_tokens, seed
/quit                 end the conversation"""


class Talking:
    """Asks the engine and keeps what was said; `saved`: it is written after every answer."""

    def __init__(
        self,
        home: Home,
        conversation: Conversation,
        kept: Kept,
        console: Console,
        cancelled: Callable[[], bool],
    ) -> None:
        self._home, self._conversation, self._console = home, conversation, console
        self._cancelled = cancelled
        self.kept = kept
        self.saved = False

    def take(self, line: str) -> bool:
        """A question or a command; whether to go on."""
        if not line:
            return True
        if not line.startswith("/"):
            self._show(self.ask(line))
            return True
        word, _, rest = line[1:].partition(" ")
        rest = rest.strip()
        match word:
            case "help":
                self._console.remark(_HELP)
            case "system":
                self._system(rest)
            case "regenerate" | "again":
                self._regenerate()
            case "save":
                self._save(rest)
            case "swap":
                self._swap(rest.split())
            case "set":
                self._set(*rest.partition(" ")[::2])
            case "quit" | "exit":
                return False
            case _:
                raise StudioError(
                    "No such command", f"There is no command /{word}.", "/help lists them."
                )
        return True

    def ask(self, text: str, parent: str | None = None) -> list[Answer]:
        """Ask every side; the answers, which are shown as they come where there is one."""
        kept = self.kept
        turn = Turn(
            id=chats.new_id(),
            question=text,
            parent=kept.at if parent is None else parent,
            answers=[
                Answer(side=side, name=self._name(side), id=chats.new_id()) for side in kept.sides
            ],
            system=kept.system,
            sampling=dict(kept.sampling),
            time=time.time(),
        )
        before = kept.at, kept.title
        kept.add(turn)
        try:
            self._answer(turn)
        except BaseException:
            kept.turns.remove(turn)
            kept.at, kept.title = before
            raise
        if self.saved:
            chats.save(self._home, kept)
        return turn.answers

    def _answer(self, turn: Turn) -> None:
        alone = len(turn.answers) == 1
        for messages, columns in requests(self.kept.path(), turn.system):
            answered = self._conversation.say(
                messages,
                adapters=[turn.answers[column].side for column in columns],
                on_text=(lambda side, piece: self._console.text(piece)) if alone else None,
                cancelled=self._cancelled,
                **_typed(turn.sampling),
            )
            for column, event in zip(columns, answered, strict=True):
                _fill(turn.answers[column], event)
        if not alone:
            for answer in turn.answers:
                self._console.text(f"\n[{answer.name}]\n{answer.text}\n")

    def _show(self, answers: list[Answer]) -> None:
        self._console.text("\n")
        for answer in answers:
            name = f"{answer.name}: " if len(answers) > 1 else ""
            speed = f", {answer.tokens_per_second:.0f} tokens/s" if answer.tokens > 1 else ""
            used = answer.prompt_tokens + answer.tokens
            room = (
                f", context {used:,} of {answer.context_length:,}" if answer.context_length else ""
            )
            self._console.remark(f"{name}{answer.tokens} tokens{speed}{room}")

    def _system(self, text: str) -> None:
        if text:
            self.kept.system = "" if text == "-" else text
        self._console.remark(f"System prompt: {self.kept.system or 'none'}")

    def _regenerate(self) -> None:
        path = self.kept.path()
        if not path:
            raise StudioError("Nothing to answer", "Nothing was asked yet.", "Ask something.")
        self.kept.sampling["seed"] = self.kept.sampling.get("seed", 0) + 1
        self._show(self.ask(path[-1].question, path[-1].parent))

    def _save(self, title: str) -> None:
        if not self.kept.turns:
            raise StudioError("Nothing to keep", "Nothing was said yet.", "Ask something first.")
        if title:
            self.kept.title, self.kept.named = title, True
        self.saved = True
        chats.save(self._home, self.kept)
        self._console.remark(f"Kept as {self.kept.id}; go on with --continue {self.kept.id}")

    def _swap(self, names: list[str]) -> None:
        if not names:
            held = ", ".join(self._name(side) for side in self.kept.sides)
            self._console.remark(f"Answering: {held}")
            return
        sides = [self._side(name) for name in names]
        need_for(*sides)
        self._conversation.load([side for side in sides if side])
        self.kept.sides = sides
        self._console.remark(f"Answering: {', '.join(map(self._name, sides))}")

    def _set(self, name: str, value: str) -> None:
        name = name.replace("-", "_")
        try:
            self.kept.sampling = {**self.kept.sampling, name: self._number(name, value)}
        except (KeyError, ValueError) as error:
            raise StudioError(
                "No such setting",
                f"“{name} {value}” sets nothing.",
                f"There are {', '.join(self.kept.sampling)}, each a number.",
            ) from error

    def _number(self, name: str, value: str) -> float:
        return type(self.kept.sampling[name])(value)

    def _side(self, name: str) -> str:
        if name in ("bare", "base"):
            return ""
        found = gguf_files.find if gguf_files.names_file(name) else self._adapter
        return str(found(name))

    def _adapter(self, name: str) -> Path:
        return adapters.find(self._home, name)

    def _name(self, side: str) -> str:
        if file := gguf_files.called(side, self.kept.model):
            return file
        return adapters.facts(Path(side)).name if side else BARE_NAME


def _typed(sampling: dict[str, float]) -> dict[str, float]:
    whole = ("max_new_tokens", "top_k", "seed")
    return {name: int(value) if name in whole else value for name, value in sampling.items()}


def _fill(answer: Answer, event: Answered) -> None:
    for name in ("text", "tokens", "tokens_per_second", "prompt_tokens", "reused_tokens",
                 "first_token_seconds", "context_length"):  # fmt: skip
        setattr(answer, name, getattr(event, name))
    answer.stage = "stopped" if event.stopped else "done"
