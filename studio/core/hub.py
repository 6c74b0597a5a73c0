"""Models of the hub: as a search shows one, and how a repository may be named."""

from __future__ import annotations

import re

import msgspec

from studio.core.errors import StudioError

_WORD = r"\w(?:[\w.-]*\w)?"
_NAME = re.compile(rf"{_WORD}/{_WORD}", re.ASCII)
_LONGEST = 96


class HubModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the hub. `parameters` is 0 where the hub doesn't say; `gated` means that its
    owner wants terms accepted before anybody downloads it; `updated` is an ISO date."""

    id: str
    downloads: int = 0
    likes: int = 0
    parameters: int = 0
    licence: str = ""
    architecture: str = ""
    gated: bool = False
    updated: str = ""


def check_name(name: str) -> None:
    """StudioError where the hub would take no repository of this name."""
    odd = "--" in name or ".." in name or name.endswith(".git")
    odd = odd or any(len(word) > _LONGEST for word in name.split("/"))
    if odd or not _NAME.fullmatch(name):
        raise StudioError(
            "Not a repository's name",
            f"“{name}” can't be the name of a repository." if name else "It needs a name.",
            "Write OWNER/NAME in letters, digits, “-”, “_” and “.”, as in ada/orders.",
        )
