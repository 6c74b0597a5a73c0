"""One engine: take the folder's lock, do its job, say how it ended."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from studio.core import commands
from studio.core.commands import OUTLIVES_CLIENT
from studio.engine import failures, process, spare
from studio.engine.channel import Channel
from studio.engine.job import Context
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from studio.library.locks import Lock

DONE, USERS_TO_MEND, OUR_FAULT = 0, 1, 3
PATIENCE_SECONDS = 2.0

_MODULES: dict[type, str] = {
    commands.Train: "train",
    commands.Chat: "chat",
    commands.Merge: "merge",
    commands.Mix: "mix",
    commands.Export: "export.job",
    commands.Import: "convert",
    commands.Score: "score",
    commands.Measure: "measure",
    commands.Serve: "serve",
    commands.Probe: "probe",
}
_LEARNING = ("train", "measure")


def main(argv: Sequence[str]) -> int:
    """Do the job that `--home DIR --folder DIR` name, or wait for one with `--spare`.

    Returns the exit code: 0 ended as wished, 1 failed for a reason that a person can mend, 3 our
    fault.
    """
    parser = argparse.ArgumentParser(prog="finetune-studio engine")
    parser.add_argument("--home", type=Path, required=True)
    job = parser.add_mutually_exclusive_group(required=True)
    job.add_argument("--folder", type=Path)
    job.add_argument("--spare", action="store_true", help="get ready, read the folder from stdin")
    options = parser.parse_args(argv)
    folder, pipe = options.folder, None
    if options.spare:
        folder, pipe = spare.wait(Home(options.home).logs / "spare.log")
    status = work(options.home, folder, pipe)
    gc.freeze()  # the interpreter's last search through every object takes two seconds
    return status


def work(home: Path, folder: Path, pipe: BinaryIO | None = None) -> int:
    """Do the job of this folder; the exit code. `pipe` is what was standard input, where that is
    claimed already."""
    places = JobFolder(folder)
    lock = Lock(places.lock)
    if not _taken(lock):
        sys.stderr.write(f"Another engine already works in {folder}.\n")
        return USERS_TO_MEND
    try:
        channel = Channel(folder)
        if pipe is None:
            pipe = process.settle(places.engine_log)
        else:
            process.print_to(places.engine_log)
        return _work(Home(home), places, channel, pipe)
    finally:
        lock.release()


def _taken(lock: Lock) -> bool:
    """Whoever lists runs holds the lock for an instant, so one refusal says nothing."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not lock.acquire():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _work(home: Home, places: JobFolder, channel: Channel, pipe: BinaryIO) -> int:
    try:
        job = jobs.job_of(places.path)
        if not isinstance(job, OUTLIVES_CLIENT):
            process.leave_with(pipe)
        do(Context(home=home, folder=places, job=job, channel=channel))
    except BaseException as error:
        traceback.print_exc()
        return _say_failed(channel, error)
    return DONE


def do(context: Context) -> None:
    """Run the job in this process; each job says its own good end."""
    name = _MODULES[type(context.job)]
    if name in _LEARNING:
        importlib.import_module("studio.engine.lighter").import_bitsandbytes()
    importlib.import_module(f"studio.engine.{name}").run(context)


def _say_failed(channel: Channel, error: BaseException) -> int:
    event = failures.to_event(error)
    try:
        channel.emit(event)
    except OSError:
        traceback.print_exc()
    return OUR_FAULT if event.fault else USERS_TO_MEND
