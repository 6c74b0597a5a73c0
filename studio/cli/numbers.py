"""Numbers among the arguments, within what makes sense."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

N = TypeVar("N", int, float)


def whole(least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """For argparse: a whole number of at least `least` and at most `most`."""

    def read(text: str) -> int:
        return _within(int(text), least, most)

    return _named(read, "whole number")


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    """For argparse: a finite number of at least `least` and at most `most`."""

    def read(text: str) -> float:
        value = _within(float(text), least, most)
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"{text} is no finite number")
        return value

    return _named(read, "number")


def _within(value: N, least: N, most: N) -> N:
    if value < least:
        raise argparse.ArgumentTypeError(f"{value} is less than {least}")
    if value > most:
        raise argparse.ArgumentTypeError(f"{value} is more than {most}")
    return value


def _named(read: Callable[[str], N], name: str) -> Callable[[str], N]:
    """argparse says this name where the text is no such thing."""
    read.__name__ = name
    return read
