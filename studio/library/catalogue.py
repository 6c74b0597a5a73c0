"""Well-known models to plan with, as resources/models/catalogue.json has them."""

from __future__ import annotations

from functools import cache

import msgspec

from studio.core.catalogue import KnownModel
from studio.library import resources


class _File(msgspec.Struct):
    copies: dict[str, str]
    models: tuple[KnownModel, ...]


@cache
def known() -> tuple[KnownModel, ...]:
    """Every model of the catalogue, the smallest first."""
    return _file().models


def find(hub_id: str) -> KnownModel | None:
    """The model of this id on the hub, however it is capitalised; None where it isn't there."""
    return next((model for model in known() if model.id.lower() == hub_id.lower()), None)


@cache
def copies() -> dict[str, str]:
    """The public copies of config.json files that the numbers were read in, by name."""
    return _file().copies


@cache
def _file() -> _File:
    content = resources.path("models", "catalogue.json").read_bytes()
    return msgspec.json.decode(content, type=_File)
