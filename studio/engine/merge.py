"""Merge an adapter into its base: the export of a model folder in safetensors."""

from __future__ import annotations

import os
import time

from studio.core.commands import Export, Merge
from studio.core.events import Cancelled, Finished, Started
from studio.engine.export import job as exporting
from studio.engine.export.job import Exported
from studio.engine.job import Context
from studio.engine.telling import Teller, Unwanted
from studio.library.folders import Home


def run(context: Context) -> None:
    """Do the merge of this folder. Nothing is left at the target unless it is whole."""
    job = context.job
    assert isinstance(job, Merge)
    begin, teller = time.monotonic(), Teller(context)
    context.channel.emit(Started(pid=os.getpid()))
    try:
        done = merge(context.home, job, teller)
    except Unwanted:
        context.channel.emit(Cancelled())
        return
    context.channel.emit(Finished(result=exporting.result(done, time.monotonic() - begin)))


def merge(home: Home, job: Merge, teller: Teller) -> Exported:
    """Write the merged folder; the passport is None where memory doesn't allow the check, the
    choice of a base where there is but one.

    Raises StudioError when base and adapter don't fit, the base is quantised or the target
    can't be written.
    """
    export = Export(
        format="safetensors", out=job.out, model=job.base, adapter=job.adapter, dtype=job.dtype,
        onto=job.onto,
    )  # fmt: skip
    return exporting.export(home, export, teller)
