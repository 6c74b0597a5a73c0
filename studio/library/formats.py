"""Files that say which format they are of: the studio's own JSON, written and read in one place."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from studio.core.upgrades import FORMATS, Kind, upgraded
from studio.library import foreign

Kept = TypeVar("Kept", bound=msgspec.Struct)


def encode(kind: Kind, value: msgspec.Struct) -> bytes:
    """The value as JSON for people to read, its format first."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return msgspec.json.format(msgspec.json.encode({"format": FORMATS[kind]} | plain))


def decode(kind: Kind, content: bytes, type: type[Kept], what: str) -> Kept:
    """The value that was written by this studio or an older one.

    Raises Newer for a newer one's, and ValueError for what can't be read.
    """
    data = msgspec.convert(foreign.parse(content), dict[str, Any])
    return msgspec.convert(upgraded(kind, data, what), type)
