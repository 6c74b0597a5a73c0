"""A model of the hub as a search shows it."""

from __future__ import annotations

import msgspec


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
