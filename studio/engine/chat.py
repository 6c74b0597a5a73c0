"""A conversation: requests come as commands, answers leave as text while they grow."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path

import msgspec

from studio.core.commands import AnyCommand, Cancel, Chat, Leave, Load, Say, Stop
from studio.core.errors import StudioError
from studio.core.events import Finished, Ready, Refused, Started
from studio.core.recipe import Dtype
from studio.engine import answer, failures, precision, room
from studio.engine.cast import Cast
from studio.engine.channel import Channel
from studio.engine.conversation import Speaker
from studio.engine.job import Context
from studio.engine.load import load_model, load_tokenizer
from studio.library import adapters, gguf_files, mixing

IDLE_SECONDS = 0.02


class Left(Exception):
    """The client has left; an answer in progress is dropped."""


def run(context: Context) -> None:
    """Hold the conversation of this folder until the client leaves."""
    job = context.job
    assert isinstance(job, Chat)
    Talk(context, load(context, job)).hold()
    context.channel.emit(Finished(result={}))


def load(context: Context, job: Chat) -> Cast:
    """Model, adapters and GGUF files, ready to speak; says so as it goes."""
    folder = Path(job.model)
    if gguf_files.names_file(job.model):
        context.channel.emit(Started(pid=os.getpid(), decided={"device": "cpu"}))
        context.channel.stage("Loading the model")
    cast = Cast(folder, lambda: load_speaker(context, job))
    for side in job.adapters:
        context.channel.stage(f"Loading {Path(side).name}")
        cast.need((side,))
        _warn(context.channel, side, folder)
    context.channel.emit(ready(cast, job.model))
    return cast


def load_speaker(context: Context, job: Chat) -> Speaker:
    """The base alone, held as this machine takes it."""
    context.channel.stage("Looking at the machine")
    folder, device = Path(job.model), precision.best_device()
    chosen = precision.decide(_wanted(job.dtype), device)
    fit = room.decide(folder, job.bits, chosen.dtype, device)
    decided = {"device": str(device), "dtype": chosen.name, "bits": fit.bits, "why": fit.reason}
    context.channel.emit(Started(pid=os.getpid(), decided=decided))
    context.channel.stage("Loading the model")
    model = load_model(folder, chosen.dtype, bits=fit.bits, device=device)
    return Speaker(folder, model, load_tokenizer(folder))


def _warn(channel: Channel, adapter: str, base: Path) -> None:
    if gguf_files.names_file(adapter) or mixing.is_draft(Path(adapter)):
        return
    if warning := adapters.trained_elsewhere(Path(adapter), base):
        channel.note(warning, "warning")


def ready(cast: Cast, model: str) -> Ready:
    """Who can speak now, and what memory it took."""
    return Ready(
        model=model,
        adapters=cast.sides,
        own_bytes={side: cast.own_bytes(side) for side in cast.sides},
        base_bytes=cast.base_bytes,
    )


def _wanted(name: str) -> Dtype:
    try:
        wanted: Dtype = msgspec.convert(name, Dtype)
    except msgspec.ValidationError as error:
        raise StudioError(
            "Unknown number format",
            f"There is no number format {name}.",
            "Use auto, bfloat16, float16 or float32.",
        ) from error
    return wanted


class Talk:
    """The requests of one conversation, one after another."""

    def __init__(self, context: Context, cast: Cast) -> None:
        self._channel = context.channel
        self._model = str(context.job.model) if isinstance(context.job, Chat) else ""
        self._cast = cast
        self._waiting: deque[Say | Load] = deque()
        self._cancelled: set[str] = set()

    def hold(self) -> None:
        """Answer until the client leaves."""
        try:
            while True:
                self._hear()
                if self._waiting:
                    self._do(self._waiting.popleft())
                else:
                    time.sleep(IDLE_SECONDS)
        except Left:
            return

    def stopped(self, request: str) -> bool:
        """Whether this request was cancelled; asked before every token. Raises Left."""
        self._hear()
        return request in self._cancelled

    def _hear(self) -> None:
        for command in self._channel.commands():
            self._take(command)

    def _take(self, command: AnyCommand) -> None:
        match command:
            case Say() | Load():
                self._waiting.append(command)
            case Cancel(request=request) if request:
                self._cancelled.add(request)
            case Leave() | Stop() | Cancel():
                raise Left

    def _do(self, command: Say | Load) -> None:
        request = command.request if isinstance(command, Say) else ""
        try:
            if isinstance(command, Say):
                answer.give(self._cast, command, self._channel, lambda: self.stopped(request))
            else:
                fresh = set(command.adapters) - set(self._cast.sides)
                self._cast.hold(command.adapters)
                for adapter in sorted(fresh):
                    _warn(self._channel, adapter, Path(self._model))
                self._channel.emit(ready(self._cast, self._model))
        except Left:
            raise
        except Exception as error:
            told = failures.to_error(error)
            if not isinstance(error, StudioError):
                self._cast.forget()
            if told.title == failures.FAULT and not request:
                raise
            self._channel.emit(
                Refused(request=request, title=told.title, text=told.text, fix=told.fix)
            )
        finally:
            self._cancelled.discard(request)
