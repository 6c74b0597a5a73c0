"""Exports and their passports as the command line tells them to people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from studio.cli.console import size, table
from studio.core import exporting, passport
from studio.core.passport import Example, Passport
from studio.library.exports import ExportFacts

NONE = ["Nothing was exported yet."]
_GRADES = {"pass": "passed", "fail": "FAILED", "": "not checked"}
_SHOWN_EXAMPLES = 3


def written(result: dict[str, Any]) -> list[str]:
    """An export that has just been made, with its passport in words."""
    told = [f"Written  {result['path']} ({size(result['bytes'])})"]
    if choice := result.get("base"):
        told.append(f"Base     {exporting.base_words(choice['base'], choice['losses'])}")
    plain = result.get("passport")
    return told + checked(msgspec.convert(plain, Passport) if plain else None)


def checked(found: Passport | None, grade: str = "") -> list[str]:
    """A passport: the grade, what was measured, and each reason it isn't passed."""
    if found is None:
        return [
            f"Check    {grade}: its passport went with its folder" if grade else "Check    none"
        ]
    told = [f"Check    {found.grade}: {passport.verdict(found)}"]
    for reason in passport.reasons(found):
        told += [f"         {reason.name}: {reason.text}", f"         → {reason.fix}"]
    return told


def listed(rows: Sequence[ExportFacts]) -> list[str]:
    """A table, the latest first."""
    cells = [
        (each.name, _what(each), _GRADES[each.grade], _date(each), size(each.bytes), _place(each))
        for each in rows
    ]
    return table(cells, ("OF", "AS", "CHECK", "DATE", "SIZE", "FOLDER")) if rows else NONE


def shown(known: ExportFacts, examples: Sequence[Example]) -> list[str]:
    """One export, its passport, and where it differs most."""
    facts = [
        ("Export", _place(known)),
        ("Of", known.name),
        ("As", f"{exporting.title(known.kind)} ({_what(known)}), {size(known.bytes)}"),
        ("Date", _date(known)),
        ("Base", exporting.base_words(known.base, known.base_losses)),
    ]
    lines = [f"{name:<9}{value}" for name, value in facts if value] + checked(
        known.passport, known.grade
    )
    for example in [each for each in examples if each.kl][:_SHOWN_EXAMPLES]:
        live = "".join(token.text for token in example.live)
        lines += ["", f"It differs by {example.kl:.2g} nats a token at: {example.prompt.strip()}"]
        lines += [f"  live:   {live.strip()!r}", f"  export: {example.exported.strip()!r}"]
    return lines


def plain(known: ExportFacts) -> dict[str, Any]:
    """An export as JSON has it."""
    row: dict[str, Any] = msgspec.to_builtins(known)
    return {
        "path": known.out,
        "format": known.kind,
        "grade": known.grade,
        "there": known.there,
    } | row


def _what(known: ExportFacts) -> str:
    return " ".join(part for part in (known.kind, known.quantization) if part)


def _place(known: ExportFacts) -> str:
    return known.out + ("" if known.there else " (gone)")


def _date(known: ExportFacts) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(known.created_at))
