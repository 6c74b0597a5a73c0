"""One request of a conversation: every side answers the same prompt from the same seed."""

from __future__ import annotations

import time
from collections.abc import Callable

from jinja2 import TemplateError

from studio.core.commands import Say
from studio.core.errors import StudioError
from studio.core.events import Answered, TokenText
from studio.engine.cast import Cast
from studio.engine.channel import Channel
from studio.engine.conversation import BARE
from studio.engine.generate import Sampler
from studio.engine.prefix import Broken
from studio.engine.talkers import Talker

BATCH_SECONDS = 0.03
"""How long text is gathered before it is sent: about one frame of a screen."""

TURN_SECONDS = 0.2
"""How long a side speaks before the next one goes on; changing to one that PEFT adds takes
about 16 ms, to a folded one next to nothing."""

FALLBACK_CONTEXT = 2048
"""Tokens, for a config that doesn't say how long its context is."""


def give(cast: Cast, say: Say, channel: Channel, stopped: Callable[[], bool]) -> None:
    """Answer on every side, in turns, so that the answers grow side by side.

    Raises StudioError when the request can't be answered.
    """
    wanted = say.adapters or (cast.sides[:1] or (BARE,))
    cast.need(wanted)
    talkers = [cast.talker(side) for side in wanted]
    prompts = {
        talker.key: _fitting_prompt(talker, say, channel)
        for talker in {each.key: each for each in talkers}.values()
    }
    cast.make_room()
    sides = [
        _Side(talker, say, number, *prompts[talker.key], channel, stopped)
        for number, talker in enumerate(talkers)
    ]
    try:
        while living := [side for side in sides if not side.done]:
            for side in living:
                side.go_on(TURN_SECONDS)
    finally:
        for side in sides:
            side.leave()


class _Side:
    """One answer in the making."""

    def __init__(
        self,
        talker: Talker,
        say: Say,
        number: int,
        prompt: list[int],
        limit: int,
        channel: Channel,
        stopped: Callable[[], bool],
    ) -> None:
        self._say, self._number, self._context = say, number, talker.context_length
        self._channel, self._stopped, self._prompt = channel, stopped, prompt
        self._reply = talker.reply(prompt, _sampler(say), limit, stopped)
        self._pieces = self._reply.pieces()
        self._text = self._unsent = ""
        self._count, self._seconds, self._first, self._sent = 0, 0.0, 0.0, 0.0
        self.done = False

    def go_on(self, seconds: float) -> None:
        """Speak for about `seconds`, or to the end of the answer."""
        begin = time.perf_counter()
        with self._reply.speaking():
            while not self.done and time.perf_counter() - begin < seconds:
                self._step(begin)
        if not self.done:
            self._seconds += time.perf_counter() - begin

    def leave(self) -> None:
        """Keep what was read for the next turn."""
        self._reply.leave()

    def _step(self, begin: float) -> None:
        piece, cut = self._next()
        now = time.perf_counter()
        if piece is None:
            self._seconds += now - begin
            self._end(cut)
            return
        self._count += 1
        if self._count == 1:
            self._first = self._seconds + now - begin
        self._unsent += piece
        if self._unsent and now - self._sent >= BATCH_SECONDS:
            self._send()
            self._sent = now

    def _next(self) -> tuple[str | None, bool]:
        """The next token's text, None at the end; and whether the user cut the answer off."""
        if self._stopped():
            return None, True
        try:
            return next(self._pieces, None), False
        except Broken:
            return None, True

    def _end(self, cut: bool) -> None:
        self._unsent += self._reply.rest()
        self._send()
        self.done = True
        speaking = self._seconds - self._first
        self._channel.emit(
            Answered(
                request=self._say.request,
                side=self._number,
                text=self._text,
                tokens=self._count,
                tokens_per_second=(self._count - 1) / speaking if self._count > 1 else 0.0,
                stopped=cut,
                prompt_tokens=len(self._prompt),
                reused_tokens=self._reply.reused,
                first_token_seconds=self._first,
                context_length=self._context,
            )
        )

    def _send(self) -> None:
        if self._unsent:
            event = TokenText(request=self._say.request, side=self._number, text=self._unsent)
            self._channel.emit(event)
        self._text, self._unsent = self._text + self._unsent, ""


def _sampler(say: Say) -> Sampler:
    return Sampler(say.temperature, say.top_p, say.seed, say.top_k, say.repetition_penalty)


def _fitting_prompt(talker: Talker, say: Say, channel: Channel) -> tuple[list[int], int]:
    """The prompt's ids and the tokens left for the answer; the oldest turns go first."""
    context = talker.context_length or FALLBACK_CONTEXT
    reserved = min(say.max_new_tokens, context // 2)
    messages, dropped = list(say.messages), 0
    while True:
        ids = _prompt(talker, messages)
        if len(ids) + reserved <= context:
            break
        first = 1 if messages and messages[0].get("role") == "system" else 0
        if len(messages) - first <= 1:
            raise _too_long(len(ids), context - reserved)
        gone = _oldest_turn(messages, first)
        del messages[first : first + gone]
        dropped += gone
    if dropped:
        channel.note(
            f"The conversation has outgrown the model's {context:,} tokens: the oldest "
            f"{dropped} messages were left out of this request.",
            "warning",
        )
    return ids, min(say.max_new_tokens, context - len(ids))


def _oldest_turn(messages: list[dict[str, str]], first: int) -> int:
    """How many messages the oldest question and its answer take; never the last message."""
    end = first + 1
    while end < len(messages) - 1 and messages[end].get("role") != "user":
        end += 1
    return end - first


def _prompt(talker: Talker, messages: list[dict[str, str]]) -> list[int]:
    if not messages:
        raise StudioError("Nothing to answer", "The request has no message.", "Write one.")
    try:
        return talker.prompt(messages)
    except TemplateError as error:
        raise StudioError(
            "The chat template refuses this",
            f"The model's chat template says: {error}.",
            "Start a new conversation, without a system message if there is one.",
        ) from error


def _too_long(tokens: int, room: int) -> StudioError:
    return StudioError(
        "Message too long",
        f"The message takes {tokens:,} tokens; the model has room for {room:,} beside its answer.",
        "Shorten it, or lower the number of tokens of the answer.",
    )
