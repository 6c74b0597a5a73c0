"""The door of the server: programs of this machine that show the key, and few of its paths."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS = {
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
}
"""What the library's server can do beside these, loading other models by name and emptying the
memory among it, is nobody's business."""

HOSTS = ("127.0.0.1", "localhost")
MOST_BYTES = 16 * 2**20
"""Of one request."""


class Tally:
    """How many requests came through the door, and how many are being answered."""

    def __init__(self) -> None:
        self.requests = 0
        self.active = 0


class Gate:
    """An ASGI application around another one, which it hands what may pass."""

    def __init__(self, app: App, key: str, tally: Tally) -> None:
        self._app = app
        self._key = key.encode("ascii")
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's beginning and end."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if refusal := self._refusal(scope):
            await _refuse(send, *refusal)
            return
        self._tally.requests += 1
        self._tally.active += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._tally.active -= 1

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Status, code and words for a request that may not pass."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        if host not in HOSTS:
            return 403, "wrong_host", "This server answers programs of its own machine."
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not secrets.compare_digest(shown.strip(), self._key):
            return 401, "invalid_api_key", "The API key is missing or isn't this server's."
        if (scope["method"], scope["path"]) not in PATHS:
            return 404, "not_found", f"There is no {scope['method']} {scope['path']} here."
        return _too_much(scope["method"], headers.get(b"content-length", b""))


def _too_much(method: str, told: bytes) -> tuple[int, str, str] | None:
    """A body is as long as it says, which the server sees to."""
    if method != "POST":
        return None
    if not told.isdigit():
        return 411, "length_required", "The request doesn't say how long it is."
    if int(told) > MOST_BYTES:
        return 413, "too_large", f"A request may have {MOST_BYTES:,} bytes."
    return None


async def _refuse(send: Send, status: int, code: str, words: str) -> None:
    """An error as OpenAI's clients read it. The connection ends, whatever else was on it."""
    error = {"message": words, "type": "invalid_request_error", "param": None, "code": code}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})
