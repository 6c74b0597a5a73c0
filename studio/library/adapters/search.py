"""Finding adapters: by every word of what is known of them, by tag and base, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from studio.library.adapters.facts import AdapterFacts

SORTS: dict[str, Callable[[AdapterFacts], object]] = {
    "date": lambda row: -row.created_at,
    "name": lambda row: row.name.lower(),
    "base": lambda row: row.base_name.lower(),
    "method": lambda row: (row.method, -row.rank),
    "loss": lambda row: row.loss if row.loss is not None else float("inf"),
    "size": lambda row: -row.bytes,
}
"""The latest, the largest and the lowest loss first."""


def found(
    rows: Iterable[AdapterFacts], words: str = "", *, tag: str = "", base: str = ""
) -> list[AdapterFacts]:
    """Those that have every word somewhere, the tag and the base (by its name)."""
    wanted = words.lower().split()
    return [
        row
        for row in rows
        if (not tag or tag.lower() in (each.lower() for each in row.tags))
        and (not base or base.lower() == row.base_name.lower())
        and (not wanted or _has_all(row, wanted))
    ]


def ordered(rows: Iterable[AdapterFacts], by: str) -> list[AdapterFacts]:
    """By one of `SORTS`; those that are alike in it the latest first."""
    latest = sorted(rows, key=lambda row: -row.created_at)
    return sorted(latest, key=SORTS[by])  # type: ignore[arg-type]


def tags(rows: Iterable[AdapterFacts]) -> list[str]:
    """Every tag in use, in the order of the alphabet."""
    return sorted({tag.lower(): tag for row in rows for tag in row.tags}.values(), key=str.lower)


def bases(rows: Iterable[AdapterFacts]) -> list[str]:
    """The name of every base in use, in the order of the alphabet."""
    return sorted({row.base_name for row in rows if row.base_name}, key=str.lower)


def text_of(row: AdapterFacts) -> str:
    """All that is searched of an adapter."""
    parts: Sequence[str] = (
        row.name, row.base, row.method, f"r{row.rank}", row.dataset, row.run, row.notes,
        *row.tags, *row.variants, *row.targets, *(each.name for each in row.lineage),
        *(each.path for each in row.made), row.problem, row.mixed_by,
        "imported" if row.imported else "",
    )  # fmt: skip
    return "\n".join(parts).lower()


def _has_all(row: AdapterFacts, words: list[str]) -> bool:
    text = text_of(row)
    return all(word in text for word in words)
