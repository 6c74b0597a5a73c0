"""Rows as coloured tokens for a terminal, or with plain marks where there is no colour."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence

from studio.core.facts import Example, TokenKind, TokenPiece

COLOURS: dict[TokenKind, str] = {"trained": "32", "context": "90", "cut": "31;9"}
_SHOWN = {"\n": "⏎\n", "\t": "⇥"}


def coloured() -> bool:
    """Whether standard output shows colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def lines(examples: Sequence[Example], colour: bool, ids: bool = False) -> Iterator[str]:
    """Each row under its number: «trained», context, ~cut off~; special tokens underlined in
    colour; with `ids` each token's id behind it."""
    for one in examples:
        yield f"Row {one.row}: {_counts(one)}" if not one.problem else one.problem
        if one.pieces:
            yield _coloured(one.pieces, ids) if colour else _plain(one.pieces, ids)
        yield from (
            f"  {check.severity}: {check.text} {check.fix}".rstrip() for check in one.checks
        )


def legend(colour: bool) -> str:
    """What the colours or marks mean."""
    if not colour:
        return "«trained»  context  ~cut off~"
    names: tuple[TokenKind, ...] = ("trained", "context", "cut")
    return "  ".join(f"\x1b[{COLOURS[name]}m{name}\x1b[0m" for name in names)


def _counts(one: Example) -> str:
    kinds = [piece.kind for piece in one.pieces]
    said = f"{len(kinds)} tokens, {kinds.count('trained')} trained"
    return said + (f", {kinds.count('cut')} cut off" if "cut" in kinds else "")


def _coloured(pieces: Sequence[TokenPiece], ids: bool) -> str:
    """Neighbours take turns in brightness, so that one sees where each token ends."""
    out = []
    for place, piece in enumerate(pieces):
        style = COLOURS[piece.kind] + (";4" if piece.special else "") + (";1" if place % 2 else "")
        out.append(f"\x1b[{style}m{_text(piece, ids)}\x1b[0m")
    return "".join(out)


def _plain(pieces: Sequence[TokenPiece], ids: bool) -> str:
    marks = {"trained": ("«", "»"), "context": ("", ""), "cut": ("~", "~")}
    out = []
    for kind, some in itertools.groupby(pieces, lambda piece: piece.kind):
        before, behind = marks[kind]
        out.append(before + "".join(_text(piece, ids) for piece in some) + behind)
    return "".join(out)


def _text(piece: TokenPiece, ids: bool) -> str:
    """The text with what a terminal would act on made visible."""
    text = "".join(_SHOWN.get(c, c if c.isprintable() else f"\\x{ord(c):02x}") for c in piece.text)
    if not ids:
        return text
    words = text.rstrip("\n")
    return f"{words}[{piece.id}]{text[len(words) :]}"
