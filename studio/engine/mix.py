"""Make one adapter of several, check it against the live mix, and score it where rows are there."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from studio.core.commands import Mix as Job
from studio.core.errors import StudioError
from studio.core.events import Cancelled, Finished, Started
from studio.core.mix_problems import Part, blocks
from studio.core.mixing import Mix
from studio.core.passport import FILE as PASSPORT
from studio.core.passport import Passport
from studio.engine import base_choice, mixed_adapter
from studio.engine.job import Context
from studio.engine.mix_check import Trial
from studio.engine.telling import Teller, Unwanted
from studio.library import adapter_files, adapters, mixing, targets
from studio.library.files import remove_folder, whole_folder, write_whole

MIX_SHARE, CHECK_SHARE = 0.3, 0.6
"""Where on the progress bar mixing and checking end; scoring takes the rest."""

FAILED = (
    "The baked adapter doesn't answer as the live mix does: don't use it. Mix again, and look at "
    "the disk."
)


def run(context: Context) -> None:
    """Do the mix of this folder. Nothing is left at the target unless it is whole."""
    job = context.job
    assert isinstance(job, Job)
    context.channel.emit(Started(pid=os.getpid()))
    try:
        result = mix(context, job, Teller(context))
    except Unwanted:
        context.channel.emit(Cancelled())
        return
    context.channel.emit(Finished(result=result))


def mix(context: Context, job: Job, teller: Teller) -> dict[str, Any]:
    """The result: path (None where nothing was to be written), bytes, seconds, passport, scores,
    and how far the mix lies "apart" from the plain weighted sum, as a share of it.

    Raises StudioError, with every problem, for what can't be mixed.
    """
    begin = time.monotonic()
    base = Path(job.base) if job.base else None
    recipe, parts = ready(context, job.mix, base)
    scratch = context.folder.path / "mixed"
    with _written(recipe, scratch, teller) as apart:
        room = base is not None and base_choice.room(base)
        if base is not None and not room:
            teller.note("The mix wasn't checked: there is too little free memory for the base.")
        checked, scores = None, None
        if base is not None and room and (job.out or job.name or job.score):
            checked, scores = _tried(context, job, recipe, scratch, base, teller)
        if checked:
            if checked.grade == "fail":
                teller.note(FAILED)
            write_whole(scratch / PASSPORT, msgspec.json.format(msgspec.json.encode(checked)))
        path = _published(context, job, recipe, parts, scratch)
    return {
        "path": str(path) if path else None,
        "bytes": adapter_files.size(path) if path else 0,
        "seconds": round(time.monotonic() - begin, 2),
        "passport": msgspec.to_builtins(checked),
        "scores": msgspec.to_builtins(scores),
        "apart": apart,
        "mix": msgspec.to_builtins(recipe),
    }


def ready(context: Context, recipe: Mix, base: Path | None) -> tuple[Mix, list[Part]]:
    """The recipe as it is kept; StudioError, with every problem, where it can't be mixed."""
    parts, found = mixing.look(context.home, recipe, base)
    if blocks(found):
        first = next(one for one in found if one.severity == "error")
        raise StudioError("These can't be mixed", first.text, first.fix, found)
    return mixing.stamped(recipe, parts), parts


@contextlib.contextmanager
def _written(recipe: Mix, scratch: Path, teller: Teller) -> Iterator[float]:
    """The adapter in a folder of the job's own, which goes when the block ends."""
    with whole_folder(scratch) as temporary:
        found = mixed_adapter.write(
            recipe, temporary, lambda share: teller.say("Mixing", share * MIX_SHARE)
        )
    try:
        yield found["apart"]
    finally:
        remove_folder(scratch)


def _tried(
    context: Context, job: Job, recipe: Mix, scratch: Path, base: Path, teller: Teller
) -> tuple[Passport | None, Any]:
    teller.say("Loading the model", MIX_SHARE)
    trial = Trial(base, recipe)
    end = CHECK_SHARE if job.score else 1.0
    checked = trial.check(
        scratch, lambda text, s: teller.say(text, MIX_SHARE + s * (end - MIX_SHARE))
    )
    if not job.score:
        return checked, None
    scores = trial.score(context.home, lambda text, s: teller.say(text, end + s * (1.0 - end)))
    if not scores:
        teller.note("None of these adapters' runs held rows out, so nothing was scored.")
    return checked, scores


def _published(
    context: Context, job: Job, recipe: Mix, parts: list[Part], scratch: Path
) -> Path | None:
    """The finished adapter where it was wanted, whole or not at all."""
    known = mixing.facts_of(recipe, parts)
    if job.out:
        target = targets.check_new_folder(Path(job.out), adapter_files.size(scratch))
        with whole_folder(target) as temporary:
            mixing.copy(scratch, temporary, msgspec.structs.replace(known, name=target.name))
        return target
    if job.name:
        return adapters.add(context.home, scratch, job.name, known)
    return None
