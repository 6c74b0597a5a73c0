"""Export a model: prepare, write, check in its own runtime, publish whole with its passport."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil
import torch

from studio.core import exporting
from studio.core import passport as core
from studio.core.commands import Export
from studio.core.errors import StudioError
from studio.core.events import Cancelled, Finished, Started
from studio.core.passport import Example, Passport
from studio.engine import base_choice, passport
from studio.engine.base_choice import Choice
from studio.engine.export import Exporter, Wanted, cards, prepare
from studio.engine.job import Context
from studio.engine.telling import Teller, Unwanted
from studio.library import adapter_files, adapters, exports, targets
from studio.library.exports import ExportFacts
from studio.library.files import whole_folder, write_whole
from studio.library.folders import Home
from studio.library.models import config_of

CHOICE_SHARE, WRITE_SHARE = 0.2, 0.6
"""Where on the progress bar the choice of a base and the writing end; the check takes the rest."""


@dataclass(frozen=True)
class Exported:
    """What came of an export; no passport where it wasn't checked."""

    path: Path
    passport: Passport | None
    choice: Choice | None


def run(context: Context) -> None:
    """Do the export of this folder. Nothing is left at the target unless it is whole."""
    job = context.job
    assert isinstance(job, Export)
    begin, teller = time.monotonic(), Teller(context)
    context.channel.emit(Started(pid=os.getpid()))
    try:
        done = export(context.home, job, teller)
    except Unwanted:
        context.channel.emit(Cancelled())
        return
    context.channel.emit(Finished(result=result(done, time.monotonic() - begin)))


def result(done: Exported, seconds: float) -> dict[str, Any]:
    """What is told of an export: path, bytes, seconds, passport, base."""
    return {
        "path": str(done.path),
        "bytes": adapter_files.size(done.path),
        "seconds": round(seconds, 2),
        "passport": msgspec.to_builtins(done.passport) if done.passport else None,
        "base": msgspec.to_builtins(done.choice) if done.choice else None,
    }


def export(home: Home, job: Export, teller: Teller) -> Exported:
    """Write the export and its passport, and keep a record of it in the library.

    Raises StudioError before anything is written where something stands in the way.
    """
    begin = time.monotonic()
    wanted = _wanted(home, job, teller)
    targets.check_new_folder(Path(job.out))
    ready = prepare(wanted)
    target = targets.check_new_folder(Path(job.out), ready.bytes)
    begun = CHOICE_SHARE if ready.choice and ready.choice.losses else 0.0
    text = "Merging" if job.format == "safetensors" else "Writing"
    with whole_folder(target) as temporary:
        teller.say(text, begun)
        ready.write(temporary, lambda s: teller.say(text, begun + s * (WRITE_SHARE - begun)))
        teller.say("Checking the export", WRITE_SHARE)
        judged = _judge(wanted, ready, temporary, teller)
        _mark(temporary, judged[0])
    done = Exported(target, judged[0], ready.choice)
    _record(wanted, done)
    _remember(wanted, done, judged[1], time.monotonic() - begin)
    return done


def _wanted(home: Home, job: Export, teller: Teller) -> Wanted:
    format = exporting.find(job.format)
    adapter = Path(job.adapter) if job.adapter else None
    if format.wants_adapter and adapter is None:
        raise StudioError(
            "No adapter",
            f"“{format.title}” exports an adapter, and none was named.",
            "Name an adapter, or choose another format.",
        )
    if adapter and (warning := adapters.trained_elsewhere(adapter, Path(job.model))):
        teller.note(warning)
    return Wanted(
        home=home,
        job=job,
        format=format,
        quantization=exporting.quantization(format, job.quantization),
        model=Path(job.model),
        adapter=adapter,
        name=Path(job.out).name,
        note=teller.note,
        tick=lambda s: teller.say("Scoring both bases on held-out rows", s * CHOICE_SHARE),
    )


def _judge(
    wanted: Wanted, ready: Exporter, folder: Path, teller: Teller
) -> tuple[Passport | None, tuple[Example, ...]]:
    if ready.live is None or wanted.job.check == "none":
        return None, ()
    if not _room(wanted.model):
        teller.note("The export wasn't checked: there is too little free memory to load it.")
        return None, ()
    span = 1.0 - WRITE_SHARE
    progress: Callable[[str, float], None] = lambda text, s: teller.say(  # noqa: E731
        text, WRITE_SHARE + s * span
    )
    run = adapters.facts(wanted.adapter).run if wanted.adapter else ""
    held_out = base_choice.rows_of(wanted.home, run)
    judged = passport.check(
        ready.live, lambda: ready.open(folder), ready.precision, held_out, progress,
        quick=wanted.job.check == "quick",
    )  # fmt: skip
    for reason in core.reasons(judged.passport):
        teller.note(f"{reason.text} {reason.fix}")
    return judged.passport, judged.examples


def _room(model: Path) -> bool:
    """Whether the live model, the larger of the two, finds room in memory beside what it said."""
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    said = 2.0 * core.POSITIONS * int(config_of(model).get("vocab_size") or 0) * 4
    needed = 1.3 * weights + said
    return torch.cuda.is_available() or psutil.virtual_memory().available > needed


def _mark(folder: Path, checked: Passport | None) -> None:
    """Write the passport into the folder, numbers alone, and say it on the model card."""
    if checked:
        write_whole(folder / core.FILE, msgspec.json.format(msgspec.json.encode(checked)))
        cards.add_passport(folder, checked)


def _record(wanted: Wanted, done: Exported) -> None:
    """Put the export into the history of its adapter."""
    if wanted.adapter:
        kind: Literal["merged", "exported"] = (
            "merged" if wanted.format.id == "safetensors" else "exported"
        )
        grade = done.passport.grade if done.passport else ""
        adapters.record_made(
            wanted.home, wanted.adapter, kind, done.path, format=wanted.format.id, grade=grade
        )


def _remember(
    wanted: Wanted, done: Exported, examples: tuple[Example, ...], seconds: float
) -> None:
    known = adapters.facts(wanted.adapter).name if wanted.adapter else wanted.model.name
    losses = done.choice.losses if done.choice else {}
    facts = ExportFacts(
        kind=wanted.format.id,
        base=done.choice.base if done.choice else "",
        base_losses={str(base): x for base, x in losses.items()},
        out=str(done.path),
        model=str(wanted.model),
        adapter=str(wanted.adapter or ""),
        name=known,
        dtype=wanted.job.dtype,
        quantization=wanted.quantization.id if wanted.quantization else "",
        bytes=adapter_files.size(done.path),
        seconds=round(seconds, 2),
        passport=done.passport,
    )
    with contextlib.suppress(OSError):  # the export is done; its success doesn't hang on this
        exports.add(wanted.home, facts, examples)
