"""The prompts that llama.cpp itself makes of conversations, by the template in a GGUF file.

llama-server of the part is asked: its Jinja is its own, and only it can tell. It listens on this
machine alone, behind a key that is made up for the few seconds of its life.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError
from studio.core.turns import Messages
from studio.engine.llama_cpp import library
from studio.library import parts

POLL_SECONDS = 0.1
START_SECONDS = 120.0
ATTEMPTS = 3
_KEY = "LLAMA_API_KEY"


class Server:
    """llama-server on one file. Use `serving`."""

    def __init__(self, address: str, key: str) -> None:
        self._address, self._key = address, key

    def render(self, messages: Messages) -> str:
        """The prompt up to where the answer begins, as /v1/chat/completions would read it."""
        return str(self.ask("/apply-template", {"messages": list(messages)})["prompt"])

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One question. Raises StudioError with what the server says against it."""
        request = urllib.request.Request(
            self._address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with _direct.open(request, timeout=START_SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refused(error.read().decode("utf-8", "replace")) from error
        return found


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Straight to this machine, whatever proxy the system names."""


def render(
    file: Path, conversations: Sequence[Messages], tick: Callable[[], None] = lambda: None
) -> list[str]:
    """The prompts that llama.cpp makes of these conversations."""
    with serving(file, tick) as server:
        return [server.render(messages) for messages in conversations]


@contextmanager
def serving(file: Path, tick: Callable[[], None] = lambda: None) -> Iterator[Server]:
    """llama-server on this file, on the processor, for as long as the block lasts."""
    parts.need(library.PART)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        log = Path(scratch) / "llama-server.log"
        process, server = _start(file, log, tick)
        try:
            yield server
        finally:
            process.kill()
            process.wait()


def _start(
    file: Path, log: Path, tick: Callable[[], None]
) -> tuple[subprocess.Popen[bytes], Server]:
    """Started and ready. Another program may take the port first: then once more."""
    for _ in range(ATTEMPTS):
        key, port = secrets.token_urlsafe(24), _free_port()
        words = ["-m", str(file), "--host", "127.0.0.1", "--port", str(port), "-c", "512"]
        words += ["-np", "1", "-ngl", "0", "--no-warmup", "--no-ui", "--jinja"]
        words += ["--fit", "off"]  # without a card the pinned build crashes while it fits layers
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(library.program("llama-server")), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {_KEY: key},
            )
        server = Server(f"http://127.0.0.1:{port}", key)
        try:
            if _ready(process, server, tick):
                return process, server
        except BaseException:
            process.kill()
            process.wait()
            raise
    said = log.read_text("utf-8", "replace").strip().splitlines()
    raise _refused(said[-1] if said else "it said nothing")


def _ready(process: subprocess.Popen[bytes], server: Server, tick: Callable[[], None]) -> bool:
    """Whether it answers; False where it ended by itself."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        tick()
        try:
            server.ask("/health")
            return True
        except (StudioError, OSError):
            time.sleep(POLL_SECONDS)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _refused(why: str) -> StudioError:
    return StudioError(
        "llama.cpp can't use the file",
        f"llama-server gave up: {why.strip().rstrip('.')[:300]}.",
        "Export it again, or choose another format.",
    )
