"""The process in which templates run: nothing else in it, so that it can be ended at any moment.

Requests come as pickles on standard input (from the preparer alone), answers leave as JSON lines.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import re
import sys
import time
from collections.abc import Mapping
from typing import BinaryIO

import msgspec

from studio.preparer import spans
from studio.preparer.messages import BadRow
from studio.preparer.spans import Chat, Rendered
from studio.preparer.template import Broken, Runaway, Template

ROW_SECONDS = 5.0
MESSAGE_SECONDS = 0.05
BATCH_SECONDS = 30.0
MEMORY_BYTES = 1 << 30
_SURROGATE = re.compile("[\ud800-\udfff]")


class Use(msgspec.Struct, frozen=True):
    """Take this template from now on, with these special tokens; answered by Ready or Failed."""

    text: str
    tokens: Mapping[str, str]


class Render(msgspec.Struct, frozen=True):
    """Render these chats; `prompt` up to where the next answer would begin."""

    chats: tuple[Chat, ...]
    prompt: bool = False


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The template is read. `lines` are pairs of its lines and those of its compiled code."""

    lines: tuple[tuple[int, int], ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """A row that the template refuses: see BadRow."""

    why: str
    fix: str


class Texts(msgspec.Struct, frozen=True, tag="texts"):
    """What became of the chats, in their order."""

    rows: tuple[Rendered | None, ...]
    refused: tuple[Refused | None, ...]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The template itself is at fault: broken, output, memory or slow."""

    kind: str
    why: str = ""
    line: int = 0


Said = Ready | Texts | Failed
decoder = msgspec.json.Decoder(Said)


class _Watch:
    """Ends the process when one row takes too long. The C library's own thread does it, which
    needs no turn of the interpreter, and writes to standard error where the template was."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, seconds: float) -> None:
        now = time.monotonic()
        if self._until - now < seconds - ROW_SECONDS / 10:
            self._until = now + seconds
            faulthandler.dump_traceback_later(seconds, exit=True)

    def end(self) -> None:
        self._until = 0.0
        faulthandler.cancel_dump_traceback_later()


def main() -> int:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory()
    serve(sys.stdin.buffer, answers)
    return 0


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer one request after the other."""
    watch, template = _Watch(), None
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        watch.begin(ROW_SECONDS)
        try:
            if isinstance(request, Use):
                template = Template(request.text, request.tokens)
                said: Said = Ready(tuple(template.lines))
            else:
                assert template is not None
                said = _texts(template, request, watch)
        except Broken as error:
            said = Failed("broken", error.why, error.line)
        except Runaway as error:
            said = Failed(error.kind, "", error.line)
        except MemoryError:
            said = Failed("memory")
        watch.end()
        answers.write(msgspec.json.encode(said) + b"\n")
        answers.flush()


def _texts(template: Template, request: Render, watch: _Watch) -> Texts:
    end = time.monotonic() + BATCH_SECONDS
    rows: list[Rendered | None] = []
    refused: list[Refused | None] = []
    for chat in request.chats:
        watch.begin(ROW_SECONDS + MESSAGE_SECONDS * len(chat.messages))
        done, bad = _row(template, chat, request.prompt)
        rows.append(done)
        refused.append(bad)
        if time.monotonic() > end:
            raise Runaway("slow", 0)
    return Texts(tuple(rows), tuple(refused))


def _row(template: Template, chat: Chat, prompt: bool) -> tuple[Rendered | None, Refused | None]:
    try:
        done = Rendered(spans.prompt(template, chat)) if prompt else spans.render(template, chat)
        if _SURROGATE.search(done.text):
            raise BadRow("has bytes that are no UTF-8 text", "Save the file again as UTF-8.")
    except BadRow as bad:
        return None, Refused(_SURROGATE.sub("?", bad.why), bad.fix)
    return done, None


def _limit_memory() -> None:
    """Where the system has such a limit; elsewhere the preparer watches this process."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = MEMORY_BYTES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
    except (OSError, ValueError):
        return
