"""How a table's text is parted into fields: separator, quote, escape."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LOOKED_AT = 200
SEPARATORS = ",\t;|"
NEVER = "\x1f"
"""The separator of a table with one column."""


class Dialect(NamedTuple):
    """The arguments of csv.reader; `quote` is empty where quotes are letters like any other."""

    separator: str = ","
    quote: str = '"'
    escape: str = ""

    def reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.separator,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape or None,
            doublequote=True,
        )


def sniff(head: Sequence[str], tabs: bool) -> Dialect:
    """The dialect in which most of these first lines have as many fields as the header.

    Of equals the plainest wins: double quotes before single ones, these before none.
    """
    separators = "\t" if tabs else SEPARATORS
    text = "".join(head)
    quotes = ['"'] + (["'"] if _single_quoted(text) else []) + ([""] if tabs else [])
    escapes = [""] + (["\\"] if '\\"' in text or "\\'" in text else [])
    tried = [Dialect(*one) for one in itertools.product(separators, quotes, escapes)]
    scored = [(_score(dialect, head), -place) for place, dialect in enumerate(tried)]
    (fit, width), place = max(scored)
    if width < 2:
        return Dialect("\t" if tabs else NEVER)
    return tried[-place] if fit > 0 else Dialect("\t" if tabs else ",")


def _score(dialect: Dialect, head: Sequence[str]) -> tuple[float, int]:
    """The share of rows as wide as the header, less where quotes are left in the fields."""
    try:
        rows = [row for row in dialect.reader(iter(head)) if any(row)]
    except csv.Error:
        return -1.0, 2
    if not rows:
        return -1.0, 1
    width = len(rows[0])
    if width < 2:
        return 0.0, width
    body = rows[1:] or rows  # the last may be cut by the end of what is looked at
    widths = Counter(len(row) for row in (body[:-1] or body))
    fit = widths[width] / sum(widths.values())
    odd = sum(_looks_wrong(field, dialect) for row in rows for field in row)
    return round(fit - 0.5 * odd / sum(map(len, rows)), 3), width


def _looks_wrong(field: str, dialect: Dialect) -> bool:
    """Quotes left around a field, or one that swallowed a line with its separators."""
    left = len(field) > 1 and field[0] == field[-1] and field[0] in "\"'"
    return left or (dialect.separator == "\t" and "\n" in field and "\t" in field)


def _single_quoted(text: str) -> bool:
    return any(f"{separator}'" in text for separator in SEPARATORS)
