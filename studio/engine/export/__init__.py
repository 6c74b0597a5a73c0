"""Exports, one module a format; each says early what it can't do, then writes, then opens what it
wrote in the program that it is for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from studio.core.commands import Export
from studio.core.exporting import Format, Quantization
from studio.engine.base_choice import Choice
from studio.engine.passport import Live
from studio.engine.runtimes import Runtime
from studio.library import parts
from studio.library.folders import Home

Tick = Callable[[float], None]
"""Told the share done so far, up to 1; may raise to break off."""


@dataclass(frozen=True)
class Wanted:
    """What is to be exported. Without `adapter` it is the model itself. `name` is what the result
    is called; `note` puts a warning into the job's log; `tick` is for work while preparing."""

    home: Home
    job: Export
    format: Format
    quantization: Quantization | None
    model: Path
    adapter: Path | None
    name: str
    note: Callable[[str], None]
    tick: Tick


class Exporter(Protocol):
    """One export that is ready to be written: what could be refused has been."""

    bytes: int
    """About as many are written."""
    precision: str
    """Which of core/passport.py's tolerances hold for it."""
    live: Live | None
    """What it is judged by; None where the format has nothing that could be run."""
    choice: Choice | None
    """Which base a QLoRA adapter goes into."""

    def write(self, folder: Path, tick: Tick) -> None:
        """Fill a folder, the model card README.md included."""

    def open(self, folder: Path) -> Runtime:
        """What was written, in its own runtime."""


def prepare(wanted: Wanted) -> Exporter:
    """The exporter of the format wanted. Raises StudioError for all that stands in its way: a
    missing part, a model or adapter that the format can't take, a number format it hasn't."""
    parts.need(*wanted.format.parts)
    module = importlib.import_module(f"studio.engine.export.{wanted.format.module}")
    ready: Exporter = module.prepare(wanted)
    return ready
