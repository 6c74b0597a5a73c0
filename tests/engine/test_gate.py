"""The server's door, knocked at without a network."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from studio.engine.gate import MOST_BYTES, Gate, Receive, Scope, Send, Tally

KEY = "studio-" + "k" * 43
WRONG = [None, "", "Bearer", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer \xe9"]
ELSEWHERE = [None, "", "evil.example", "evil.example:8765", "127.0.0.1.evil:1", "[::1]:8765"]
GOOD = {"host": "127.0.0.1:8765", "authorization": f"Bearer {KEY}", "content-length": "2"}


async def answered(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def knock(
    method: str = "POST", path: str = "/v1/chat/completions", tally: Tally | None = None,
    **headers: str | None,
) -> tuple[int, str]:  # fmt: skip
    """The status, and the code of an error."""
    given = GOOD | {name.replace("_", "-"): value for name, value in headers.items()}
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items() if v is not None],
    }

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read of what is refused")

    asyncio.run(Gate(answered, KEY, tally or Tally())(scope, receive, send))
    body = sent[1]["body"] if len(sent) > 1 else b'{"error": {"code": ""}}'
    return sent[0]["status"], json.loads(body)["error"]["code"]


def test_who_shows_the_key_passes() -> None:
    assert knock() == (200, "")
    assert knock("GET", "/v1/models") == (200, "")
    assert knock(authorization=f"bearer  {KEY} ") == (200, "")
    assert knock(host="localhost:1") == (200, "")


@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer \xe9"]
)
def test_who_does_not_is_refused(shown: str | None) -> None:
    assert knock(authorization=shown) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "evil.example:8765", "127.0.0.1.evil:1", "[::1]:8765"]
)
def test_other_names_of_this_machine_are_refused(host: str | None) -> None:
    """A page in a browser may have its own name point here."""
    assert knock(host=host) == (403, "wrong_host")


@pytest.mark.parametrize(
    "path", ["/", "/load_model", "/reset", "/docs", "/openapi.json", "/v1/models/", "/v1/../reset"]
)
def test_few_paths_are_open(path: str) -> None:
    assert knock(path=path) == (404, "not_found")
    assert knock("OPTIONS", "/v1/models")[0] == 404


def test_a_body_says_how_long_it_is_and_that_has_a_bound() -> None:
    assert knock(content_length=None) == (411, "length_required")
    assert knock(content_length="-1") == (411, "length_required")
    assert knock(content_length=str(MOST_BYTES + 1)) == (413, "too_large")


def test_what_passes_is_counted() -> None:
    tally = Tally()
    knock(tally=tally)
    knock(tally=tally, authorization="")
    knock("GET", "/v1/models", tally=tally)
    assert (tally.requests, tally.active) == (2, 0)
