"""Adapters as the command line tells them to people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from studio.cli.console import number, size, table
from studio.library.adapters import AdapterFacts, Made, Origin
from studio.library.adapters.history import History

NO_TRASH = "There are no adapters in the trash."
_MADE = {"merged": "Merged", "exported": "Exported"}
_CAME = {"resumed": "Resumed from", "mixed": "Mixed from"}


def listed(rows: Sequence[AdapterFacts]) -> list[str]:
    """A table, and below it what is wrong with whom; nothing for no adapters."""
    if not rows:
        return []
    cells = [
        (
            row.name,
            row.base_name or "–",
            row.method,
            str(row.rank or "–"),
            number(row.loss),
            size(row.bytes),
            date(row.created_at),
            ", ".join(row.tags),
        )
        for row in rows
    ]
    lines = table(cells, ("NAME", "BASE", "METHOD", "RANK", "LOSS", "SIZE", "DATE", "TAGS"))
    return lines + [f"{row.name}: {row.problem}" for row in rows if row.problem]


def in_short(row: AdapterFacts) -> list[str]:
    """Name, folder and base of what was just imported."""
    return [
        f"Adapter  {row.name}",
        f"Folder   {row.path}",
        f"Base     {row.base_name or 'not named'}" + ("" if row.base_digest else " (by name only)"),
    ]


def shown(
    row: AdapterFacts, told: History, recipe: Path | None, children: Sequence[AdapterFacts]
) -> list[str]:
    """All that is known of one adapter, a line each."""
    method = " ".join((row.method, f"(rank {row.rank}, alpha {row.alpha:g})" if row.rank else ""))
    facts = [
        ("Adapter", row.name),
        ("Problem", row.problem),
        ("Base", row.base_name or "not named"),
        ("Content", row.base_digest[:16]),
        ("Method", method.strip()),
        ("Variant", ", ".join(row.variants)),
        ("Targets", ", ".join(row.targets)),
        ("Mixture", row.mixed_by),
        ("Dataset", row.dataset),
        ("Recipe", str(recipe) if recipe else ""),
        ("Run", row.run),
        ("Losses", _losses(row)),
        ("Size", size(row.bytes)),
        ("Date", date(row.created_at) + (", imported" if row.imported else "")),
        ("Tags", ", ".join(row.tags)),
        ("Notes", row.notes),
        *[(_CAME[each.how], _origin(each)) for each in row.lineage],
        *[("Became", child.name) for child in children],
        *[(_MADE[each.kind], _made(each)) for each in row.made],
        ("Folder", row.path),
    ]
    width = max(len(name) for name, value in facts if value) + 2
    lines = [f"{name:<{width}}{value}" for name, value in facts if value]
    for sample in told.samples[-3:]:
        lines += ["", f"After step {sample.step}: {sample.prompt}", f"  {sample.text}"]
    return lines


def date(seconds: float) -> str:
    """The day, as people write it down."""
    return time.strftime("%Y-%m-%d", time.localtime(seconds)) if seconds else "–"


def _losses(row: AdapterFacts) -> str:
    losses = (("training", row.train_loss), ("held out", row.eval_loss))
    return ", ".join(f"{name} {loss:.4f}" for name, loss in losses if loss is not None)


def _origin(each: Origin) -> str:
    return each.name + (f" x {each.weight:g}" if each.weight is not None else "")


def _made(each: Made) -> str:
    grade = f", check {each.grade}" if each.grade else ""
    return f"{each.path} ({each.format or 'safetensors'}{grade})"
