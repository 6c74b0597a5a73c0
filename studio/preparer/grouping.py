"""Which rows belong together: equal ones, and chains of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


def firsts(values: npt.NDArray[Any]) -> Places:
    """For each row of a table the first row with equal values."""
    rows = len(values)
    order = np.lexsort(values.T[::-1]) if rows else np.zeros(0, np.int64)
    in_order = values[order]
    new = np.ones(rows, bool)
    new[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    begin = np.maximum.accumulate(np.where(new, np.arange(rows), 0)) if rows else order
    found = np.empty(rows, np.int64)
    found[order] = order[begin]
    return found


def joined(*partners: Places) -> Places:
    """For each row the least of all rows joined with it, where each names one partner of it."""
    group = np.arange(len(partners[0]))
    for partner in partners:
        join(group, np.arange(len(group)), partner)
    return group


def join(group: Places, one: Places, other: Places) -> None:
    """Give the rows of each pair, and all joined with them, the least row of theirs as group."""
    while True:
        a, b = group[one], group[other]
        if np.array_equal(a, b):
            return
        np.minimum.at(group, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(shorter := group[group], group):
            group[:] = shorter
