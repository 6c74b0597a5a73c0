"""Several fields changed together: what differs between two recipes, put in and taken back."""

from __future__ import annotations

from typing import Any

from studio.core.reading import NESTED
from studio.core.recipe import Recipe

MISSING = object()
"""Stands for a field that nobody has typed anything into."""


def differences(before: Recipe, after: Recipe) -> dict[str, Any]:
    """Dotted field to its new value, for method and hyperparameters."""
    found: dict[str, Any] = {}
    if before.method != after.method:
        found["method"] = after.method
    for part in NESTED:
        old, new = getattr(before, part), getattr(after, part)
        for name in old.__struct_fields__:
            if (value := getattr(new, name)) != getattr(old, name):
                found[f"{part}.{name}"] = value
    return found


def put(data: dict[str, Any], path: str, value: Any) -> Any:
    """Put a value at a dotted field (MISSING takes it out); what stood there before."""
    *parents, last = path.split(".")
    for key in parents:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    before = data.get(last, MISSING)
    if value is MISSING:
        data.pop(last, None)
    else:
        data[last] = value
    return before
