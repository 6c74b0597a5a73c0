"""Reading sizes from a config.json that may leave out, nest or null them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class MissingError(Exception):
    """A field that the sizes can't do without isn't a number."""


class Fields:
    """The values of a config.json, over what transformers takes where it leaves a field out."""

    def __init__(self, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self._values = {**defaults, **config}

    def whole(self, name: str) -> int:
        """A size that has to be there. Raises MissingError where it is no positive number."""
        if size := self.optional(name):
            return size
        raise MissingError(name)

    def optional(self, name: str) -> int:
        """A size, or 0 where there is none."""
        value = self._values.get(name)
        return value if type(value) is int and value > 0 else 0

    def number(self, name: str) -> float:
        """A number, or 0 where there is none."""
        return _number(self._values.get(name))

    def flag(self, name: str) -> bool:
        """Whether the field says true."""
        return self._values.get(name) is True

    def text(self, name: str) -> str:
        """A word, or "" where there is none."""
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def several(self, name: str) -> tuple[Any, ...] | None:
        """A list, or None where there is none."""
        value = self._values.get(name)
        return tuple(value) if isinstance(value, list | tuple) else None

    def rotary_share(self, name: str = "partial_rotary_factor") -> float:
        """How much of a head turns with the position: newer configs nest it."""
        nested = self._values.get("rope_parameters") or self._values.get("rope_scaling")
        inner = nested.get("partial_rotary_factor") if isinstance(nested, Mapping) else None
        return _number(inner) or self.number(name) or 1.0


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return 0.0
