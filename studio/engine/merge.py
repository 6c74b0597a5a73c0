"""Merge an adapter into its base: a model folder of its own, checked against the live adapter."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import psutil
import torch

from studio.core.commands import Cancel, Merge, Stop
from studio.core.errors import StudioError
from studio.core.events import Cancelled, Finished, Started
from studio.engine import base_choice, merged_files, passport, streaming_merge
from studio.engine.base_choice import Choice
from studio.engine.job import Context
from studio.engine.load import stored_dtype
from studio.engine.passport import Passport
from studio.engine.precision import NAMES
from studio.engine.streaming_merge import Quantize
from studio.library import adapter_files, adapters, targets
from studio.library.files import whole_folder, write_whole
from studio.library.folders import Home
from studio.library.models import config_of

CHOICE_SHARE, MERGE_SHARE = 0.2, 0.6
"""Where on the progress bar the choice of a base and the merge end; the check takes the rest."""

STAGE_SECONDS = 0.2

FAILED = (
    "The merged model doesn't answer as the adapter does: it is not what you trained. "
    "Merge again in float32, and keep the adapter."
)


class _Stopped(Exception):
    """The user wants no merge after all."""


def run(context: Context) -> None:
    """Do the merge of this folder. Nothing is left at the target unless it is whole."""
    job = context.job
    assert isinstance(job, Merge)
    begin, teller = time.monotonic(), Teller(context)
    context.channel.emit(Started(pid=os.getpid()))
    try:
        path, checked, choice = merge(context.home, job, teller)
    except _Stopped:
        context.channel.emit(Cancelled())
        return
    result = {
        "path": str(path),
        "bytes": adapter_files.size(path),
        "seconds": round(time.monotonic() - begin, 2),
        "passport": msgspec.to_builtins(checked) if checked else None,
        "base": msgspec.to_builtins(choice) if choice else None,
    }
    context.channel.emit(Finished(result=result))


def merge(home: Home, job: Merge, teller: Teller) -> tuple[Path, Passport | None, Choice | None]:
    """Write the merged folder; the passport is None where memory doesn't allow the check, the
    choice of a base where there is but one.

    Raises StudioError when base and adapter don't fit, the base is quantised or the target
    can't be written.
    """
    base, adapter = Path(job.base), Path(job.adapter)
    refuse_quantised(base)
    dtype = _dtype(job.dtype)
    adapter_files.check_shapes(adapter, base)
    todo = streaming_merge.plan(base, adapter, dtype)
    if warning := adapters.trained_elsewhere(adapter, base):
        teller.note(warning)
    target = targets.check_new_folder(Path(job.out), todo.bytes)
    choice = base_choice.choose(
        home, base, adapter, job.onto,
        lambda s: teller.say("Scoring both bases on held-out rows", s * CHOICE_SHARE),
    )  # fmt: skip
    begun = CHOICE_SHARE if choice and choice.losses else 0.0
    held = base_choice.as_trained(base) if choice and choice.base == "trained" else None
    with whole_folder(target) as temporary:
        teller.say("Merging", begun)
        streaming_merge.write(
            todo, temporary,
            lambda s: teller.say("Merging", begun + s * (MERGE_SHARE - begun)), held,
        )  # fmt: skip
        merged_files.write(
            base, adapter, temporary, name=target.name, dtype=dtype, said=todo.settings
        )
        teller.say("Checking the merged model", MERGE_SHARE)
        checked = _check(base, adapter, temporary, teller, held)
    grade = checked.grade if checked else ""
    adapters.record_made(home, adapter, "merged", target, grade=grade)
    return target, checked, choice


def refuse_quantised(base: Path) -> None:
    """Raise StudioError for a base whose weights are quantised.

    Rounding base + adapter back to 4 bits rounds the training away: a probe's loss of 1.63 became
    3.07, the bare base having 3.10.
    """
    if config_of(base).get("quantization_config"):
        raise StudioError(
            "Quantised base",
            f"{base.name} holds quantised weights; adding an adapter to them and rounding again "
            "would round the training away.",
            "Merge into the 16-bit model that it was made from.",
        )


class Teller:
    """Says how far the merge is, at most a few times a second, and hears when to stop."""

    def __init__(self, context: Context) -> None:
        self._channel = context.channel
        self._told, self._text = 0.0, ""

    def say(self, text: str, share: float) -> None:
        """Raises _Stopped when the user cancelled."""
        if any(isinstance(command, Cancel | Stop) for command in self._channel.commands()):
            raise _Stopped
        now = time.monotonic()
        if text != self._text or now - self._told >= STAGE_SECONDS:
            self._channel.stage(text, share)
            self._told, self._text = now, text

    def note(self, text: str) -> None:
        """A warning in the job's log."""
        self._channel.note(text, "warning")


def _check(
    base: Path, adapter: Path, folder: Path, teller: Teller, held: Quantize | None
) -> Passport | None:
    dtype = stored_dtype(folder)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if not torch.cuda.is_available() and psutil.virtual_memory().available < 1.3 * weights:
        teller.note("The merged model wasn't checked: there is too little free memory to load it.")
        return None
    span = 1.0 - MERGE_SHARE
    checked = passport.check(
        base, adapter, folder, dtype, lambda text, s: teller.say(text, MERGE_SHARE + s * span), held
    )
    if checked.grade == "fail":
        teller.note(FAILED)
    write_whole(folder / passport.FILE, msgspec.json.format(msgspec.json.encode(checked)))
    return checked


def _dtype(name: str) -> torch.dtype | None:
    if name == "auto":
        return None
    if name in NAMES:
        return NAMES[name]
    raise StudioError(
        "Unknown number format",
        f"There is no number format {name}.",
        f"Use auto, {', '.join(NAMES)}.",
    )
