"""One export under the keeper, and what the dialog has to know before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject

from studio.core import exporting
from studio.core.errors import StudioError
from studio.core.exporting import Format, Quantization
from studio.core.parts import Part
from studio.core.passport import Passport
from studio.library import adapters, export_sizes, jobs, parts
from studio.library.adapters import AdapterFacts
from studio.library.exports import ExportFacts
from studio.library.folders import Home
from studio.ui.following import Following
from studio.ui.session import Session


class Exporting(Following):
    """Start it once. It goes on under the keeper when the window is closed."""

    def __init__(self, session: Session, facts: AdapterFacts, parent: QObject) -> None:
        super().__init__(session, "Export", parent)
        self.facts = facts
        self.format = exporting.FORMATS[0]

    def start(self, format: Format, out: Path, choices: dict[str, Any]) -> None:
        """Check the target, write the job, hand it to the keeper."""
        self.format = format
        self.begin(create, self._session.home, self.facts, format.id, out, choices)

    def made(self, result: dict[str, Any]) -> ExportFacts:
        """What came of it, as the library keeps it."""
        plain, choice = result.get("passport"), result.get("base") or {}
        return ExportFacts(
            kind=self.format.id,
            out=str(result["path"]),
            model="",
            adapter=self.facts.path,
            base=choice.get("base", ""),
            base_losses=choice.get("losses", {}),
            name=self.facts.name,
            bytes=result["bytes"],
            seconds=result["seconds"],
            passport=msgspec.convert(plain, Passport) if plain else None,
        )


@dataclass(frozen=True)
class Outlook:
    """What an export would take, and what has to be installed first."""

    bytes: int | None
    missing: tuple[Part, ...]
    unavailable: bool


def create(
    home: Home, facts: AdapterFacts, format: str, out: Path, choices: dict[str, Any]
) -> Path:
    """The folder of an export job. Raises StudioError where base, target or a choice won't do."""
    from studio.client import actions

    job = actions.export_job(home, format, out, adapter=Path(facts.path), **choices)
    return jobs.create(home, job)


def look(
    home: Home, facts: AdapterFacts, format: Format, quantization: Quantization | None, dtype: str
) -> Outlook:
    """The size, where the base is at hand, and the parts that are missing."""
    missing = tuple(parts.missing(format.parts))
    machine = parts.this_machine()
    try:
        base = adapters.base_of(home, facts)
        size = export_sizes.estimate(format, quantization, dtype, base, Path(facts.path))
    except StudioError:
        size = None
    return Outlook(size, missing, any(part.size_on(machine) is None for part in missing))
