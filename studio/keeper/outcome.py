"""How an engine's process ended, in one sentence and with a fix."""

from __future__ import annotations

import errno
import re
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

from studio.core.events import Ended
from studio.library.folders import JobFolder

_LOG_BYTES = 16 << 10
_LEAST_ROOM_BYTES = 64 << 10
_RESUME = "Resume goes on from the last checkpoint, if there is one."

_NO_MEMORY = re.compile(
    r"out of memory|MemoryError|bad_alloc|can't allocate memory|cannot allocate memory", re.I
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.I)
_PYTHON_ERROR = re.compile(r"^(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*)$", re.M)

_WARNING = re.compile(r"^\S.*?:\d+: \w*Warning: .*\n(?:[ \t]+.*\n?)?", re.M)
"""What Python prints for a warning: its place, its text, and the line of code."""

# what Windows gives as the exit code of a process that a fault ended
_WINDOWS_FAULTS = {
    0xC0000005: signal.SIGSEGV,
    0xC00000FD: signal.SIGSEGV,
    0xC0000409: signal.SIGABRT,
    0xC000001D: signal.SIGILL,
}


class Words(NamedTuple):
    """A title, what happened in one sentence, what to do in one."""

    title: str
    text: str
    fix: str


def ended(
    folder: Path, code: int | None, *, said: bool, forced: str = "", printed_from: int = 0
) -> Ended:
    """The last line of a job's log.

    Without words where the engine itself `said` how it ended. `forced` names the request that
    it ignored until the keeper killed it. What it printed begins at that byte of its log.
    """
    if said:
        return Ended(code=code)
    words = (
        _forced(forced)
        if forced
        else explain(code, tail(folder, printed_from), full=_is_full(folder))
    )
    return Ended(code=code, title=words.title, text=words.text, fix=words.fix)


def unwritten(error: OSError, code: int | None, *, said: bool) -> Ended:
    """The end of a job whose log can't be written now, for those who wait for it."""
    if said:
        return Ended(code=code)
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return Ended(
        code=code,
        title="The disk is full" if full else "The job's folder can't be written",
        text=f"The engine is gone, and its log can't be written ({error.strerror or error}).",
        fix=f"{'Free some space' if full else 'Make the folder writable'}. {_RESUME}",
    )


def tail(folder: Path, start: int = 0) -> str:
    """The last output of an engine, from a byte of its log on."""
    try:
        with JobFolder(folder).engine_log.open("rb") as file:
            file.seek(max(start, file.seek(0, 2) - _LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def explain(code: int | None, output: str, *, full: bool = False) -> Words:
    """The words for an exit code (negative or above 128: a signal) and the last output; on a
    `full` disk an engine can't say them itself."""
    if _NO_MEMORY.search(output):
        return Words(
            "Out of memory",
            "The engine asked for more memory than this machine had left.",
            "Lower the batch size or the longest row, choose a smaller model, or close other "
            "programs.",
        )
    if _NO_SPACE.search(output) or (full and code and not _signal_of(code)):
        return Words(
            "The disk is full",
            "The engine could not write to the disk any more.",
            f"Free some space. {_RESUME}",
        )
    if number := _signal_of(code):
        return _signalled(number)
    if found := _PYTHON_ERROR.findall(output):
        return Words(
            "The engine failed",
            f"It ended with an error of its own: {_short(found[-1])}.",
            "The engine's log says more; please report it if it happens again.",
        )
    return _silent(code, output)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _LEAST_ROOM_BYTES
    except OSError:
        return False


def _signal_of(code: int | None) -> int:
    if code is None or code == 0:
        return 0
    if code & 0xFFFFFFFF in _WINDOWS_FAULTS:
        return _WINDOWS_FAULTS[code & 0xFFFFFFFF]
    number = -code if code < 0 else code - 128
    return number if number in set(signal.Signals) else 0


def _signalled(number: int) -> Words:
    name = signal.Signals(number).name
    if name == "SIGKILL":
        return Words(
            "The engine was killed",
            "Something ended the engine by force; most often it is the system, when memory "
            "runs out.",
            f"Lower the batch size or close other programs. {_RESUME}",
        )
    if name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"):
        return Words(
            "The engine was told to end",
            f"Another program or the system ended it ({name}).",
            _RESUME,
        )
    if name == "SIGILL":
        return Words(
            "The engine crashed",
            "A library used an instruction that this processor lacks.",
            "Install a build of PyTorch made for this processor (see doctor).",
        )
    if name == "SIGBUS":
        return Words(
            "The engine crashed",
            "A file that it was reading changed or the disk failed (SIGBUS).",
            f"Check the disk and the model's files. {_RESUME}",
        )
    return Words(
        "The engine crashed",
        f"A fault in a library's native code ended it ({name}).",
        f"The engine's log names the place. {_RESUME}",
    )


def _silent(code: int | None, output: str) -> Words:
    lines = [line.strip() for line in _WARNING.sub("", output).splitlines() if line.strip()]
    last = f"; the last it printed was “{_short(lines[-1])}”" if lines else ""
    how = "" if code is None else f" with exit code {code}"
    return Words(
        "The engine ended without a word",
        f"Its process is gone{how}{last}.",
        f"The engine's log may say more. {_RESUME}",
    )


def _forced(request: str) -> Words:
    return Words(
        "The engine had to be killed",
        f"It did not answer the request to {request}.",
        _RESUME,
    )


def _short(text: str) -> str:
    text = text.strip().rstrip(".")
    return text if len(text) <= 200 else text[:199] + "…"
