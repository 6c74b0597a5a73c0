"""Older recipes, as plain data, to today's version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.core.errors import StudioError
from studio.core.recipe import VERSION

Step = Callable[[dict[str, Any]], dict[str, Any]]

# from version n to n + 1; version 1 is the first
STEPS: dict[int, Step] = {
    1: dict,  # 2 has new settings only, and their defaults do what 1 did
}


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Today's form of a recipe's plain data; the argument isn't changed.

    A recipe without a version is of today's. Raises StudioError for one newer than this studio.
    """
    version = data.get("version", VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return data
    if version > VERSION:
        raise StudioError(
            "Recipe is newer than the studio",
            f"It is of version {version}; this studio knows versions up to {VERSION}.",
            "Update the studio, or write the recipe with an older one.",
        )
    for step in range(version, VERSION):
        data = STEPS[step](data)
    return data | {"version": VERSION} if "version" in data else data
