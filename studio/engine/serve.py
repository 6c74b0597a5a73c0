"""Answer programs of this machine, in OpenAI's way, until somebody ends it.

The server is transformers' own; ours are the door before it (gate.py) and the models in it
(voices.py).
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.core.commands import Cancel, Chat, Leave, Serve, Stop
from studio.core.errors import StudioError
from studio.core.events import Finished, Serving
from studio.engine import chat
from studio.engine.conversation import BARE, Speaker
from studio.engine.gate import HOSTS, Gate, Tally
from studio.engine.job import Context
from studio.engine.load import load_tokenizer
from studio.library import adapters, serving

LOOPBACK = HOSTS[0]
POLL_SECONDS = 0.1
TELL_SECONDS = 0.5
GRACE_SECONDS = 2
"""What an answer in progress is given when the server is to end."""


def run(context: Context) -> None:
    """Serve the model of this folder until the client leaves or ends it."""
    job = context.job
    assert isinstance(job, Serve)
    with _listening(job.port) as door:
        talk = Chat(model=job.model, adapters=job.adapters, dtype=job.dtype, bits=job.bits)
        speaker = chat.load(context, talk).speaker
        assert speaker is not None
        address = f"http://{LOOPBACK}:{door.getsockname()[1]}/v1"
        tally = Tally()
        names = _names(job)
        app = _application(speaker, job, names)
        with _answering(Gate(app, serving.key(context.home), tally), door) as server:
            _look_on(context, server, tally, Serving(address=address, models=tuple(names)))
    context.channel.emit(Finished(result={"address": address, "requests": tally.requests}))


def _names(job: Serve) -> list[str]:
    found = [adapters.facts(Path(adapter)).name for adapter in job.adapters]
    return serving.model_names([Path(job.model).name, *found])


def _application(speaker: Speaker, job: Serve, names: list[str]) -> Any:
    from studio.engine.voices import Voice, application

    voices = {}
    for name, folder in zip(names, (BARE, *job.adapters), strict=True):
        template = speaker.template(folder)
        tokenizer = load_tokenizer(Path(job.model), template) if template else speaker.tokenizer
        if not hasattr(tokenizer, "_tokenizer"):
            raise StudioError(
                "A tokenizer that can't be served",
                "This model's tokenizer is of an old kind, whose text can't be streamed.",
                "Look for a version of the model with a tokenizer.json.",
            )
        voices[name] = Voice(speaker, folder, tokenizer)
    return application(voices)


def _look_on(context: Context, server: Any, tally: Tally, told: Serving) -> None:
    """Say how many requests there are, and hear when to end."""
    context.channel.stage("Serving")
    context.channel.emit(told)
    last = time.monotonic()
    while not any(isinstance(one, Stop | Cancel | Leave) for one in context.channel.commands()):
        if server.should_exit:
            raise StudioError(
                "The server ended",
                "The server stopped by itself.",
                "Start it again; engine.log in the job's folder says why.",
            )
        now = (tally.requests, tally.active)
        if now != (told.requests, told.active) and time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            told = Serving(address=told.address, models=told.models, requests=now[0], active=now[1])
            context.channel.emit(told)
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _answering(app: Gate, door: socket.socket) -> Iterator[Any]:
    """A server on this socket, for the length of the block."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ws="none", server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([door],), name="server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(2 * GRACE_SECONDS + 1)


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """A socket that this machine alone can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        option = "SO_EXCLUSIVEADDRUSE" if sys.platform == "win32" else "SO_REUSEADDR"
        door.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        _bind(door, port)
        door.listen()
        yield door


def _bind(door: socket.socket, port: int) -> None:
    try:
        door.bind((LOOPBACK, port or serving.USUAL_PORT))
    except OSError as error:
        if not port:
            door.bind((LOOPBACK, 0))
            return
        raise StudioError(
            "The port is taken",
            f"Another program listens on port {port}, or it may not be used.",
            "Choose another one, or none: then a free one is found.",
        ) from error
