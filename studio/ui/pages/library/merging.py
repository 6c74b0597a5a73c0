"""One merge under the keeper, as the window sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QObject

from studio.core.commands import Merge
from studio.core.passport import Passport, reasons, verdict
from studio.library import adapters, jobs
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.pages.library.at_work import AtWork
from studio.ui.session import Session


class Merging(AtWork):
    """Start it once. It goes on under the keeper when the window is closed."""

    def __init__(self, session: Session, facts: AdapterFacts, parent: QObject) -> None:
        super().__init__(session, facts, "Merge", parent)

    def start(self, out: Path, dtype: str, onto: str = "auto") -> None:
        """Check the target, write the job, hand it to the keeper."""
        self.begin(create, self._session.home, self.facts, out, dtype, onto)


def create(home: Home, facts: AdapterFacts, out: Path, dtype: str, onto: str) -> Path:
    """The folder of a merge job. Raises StudioError where base or target won't do."""
    from studio.client import actions

    base = adapters.base_of(home, facts)
    target = actions.free_out(home, out)
    job = Merge(adapter=facts.path, out=str(target), base=str(base), dtype=dtype, onto=onto)
    return jobs.create(home, job)


def base_line(result: dict[str, Any]) -> str:
    """Which base the adapter went into, and why; "" where there was but one."""
    choice = result.get("base")
    if not choice:
        return ""
    names = {"original": "the 16-bit original", "trained": "the 4-bit base in 16 bits"}
    line = f"Merged into {names[choice['base']]}"
    if losses := choice["losses"]:
        line += (
            f": held-out loss {losses['original']:.4f} on the original, "
            f"{losses['trained']:.4f} on the 4-bit base"
        )
    return line + "."


def grade(result: dict[str, Any]) -> tuple[str, str, str]:
    """A merge's passport as a pill (text, tone) and a sentence."""
    passport = result.get("passport")
    if not passport:
        return "Not checked", "warn", "There was too little free memory to check the merged model."
    found = msgspec.convert(passport, Passport)
    words = verdict(found)
    if found.grade == "pass":
        return "Passed", "ok", words
    return "Failed", "err", " ".join([words, *(reason.text for reason in reasons(found))])
