"""One operation on disk in every way it can go wrong: `python -m tests.chaos.disk`.

Run with tests/fakes/disk.c preloaded. The operation is done once undisturbed, while each call
that changes anything is counted; then once for each such call and each fault, in a process of its
own. Whatever an operation calls is met, also what it didn't call yet when this was written.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from studio.core.errors import StudioError
from studio.library.files import PARTIAL

ROOT = Path(__file__).resolve().parents[2]
FAULTS = {"fails": 1, "no space": 2, "short write": 3, "half, then killed": 4, "killed": 5}
_KILLS = ("half, then killed", "killed")
_ON_DATA = ("short write", "half, then killed")
_KNOWN = (OSError, StudioError)
_HANGS_SECONDS = 60.0
_DONE, _REFUSED, _BROKE = 0, 10, 11


@dataclass(frozen=True)
class Operation:
    """Something that is written. All of its functions get a folder in which everything lies.

    `prepare` makes what is there before, `act` is what is broken off, `read` gives what is there
    as the studio reads it, in a form that can be compared. `again` does it once more after a
    fault, or clears up as the studio would, and must come to the same; None: `act` itself.
    `explains` says whether an exception of `act` is one that the studio has words for.
    """

    name: str
    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    read: Callable[[Path], object]
    again: Callable[[Path], object] | None = None
    explains: Callable[[BaseException, str], bool] = lambda error, _: isinstance(error, _KNOWN)


class Call(NamedTuple):
    """A call that changes something on disk."""

    what: str
    path: str
    other: str


@dataclass
class Report:
    """What came of an operation: how many calls it makes, cases tried, and what was wrong."""

    calls: int = 0
    cases: int = 0
    wrong: list[str] = field(default_factory=list)
    ran: list[tuple[str, str]] = field(default_factory=list)


class Trial:
    """One operation, tried in a folder that is made anew each time."""

    def __init__(self, operation: Operation, place: Path, most: int) -> None:
        self.operation = operation
        self.report = Report()
        self._work = place / "work"
        self._before = place / "before"
        self._trace = place / "trace"
        self._said = place / "said"
        self._most = most

    def run(self) -> Report:
        """Try it in all ways."""
        self._work.mkdir(parents=True)
        self.operation.prepare(self._work)
        shutil.copytree(self._work, self._before, symlinks=True)
        _, old = self._apart(self._read)
        code, calls = self._once("", 0, profile=True)
        _, new = self._apart(self._read)
        if code != _DONE or old == new or not calls:
            self.report.wrong.append(f"undisturbed: exit {code}, {len(calls)} calls, read {new}")
            return self.report
        self.report.calls = len(calls)
        self.report.wrong += out_of_order(calls)
        for number, call in enumerate(calls, 1):
            if number % -(-len(calls) // self._most):
                continue
            for name in FAULTS:
                if name not in _ON_DATA or call.what == "write":
                    self._try(name, number, call, old, new)
        return self.report

    def _try(self, name: str, number: int, call: Call, old: str, new: str) -> None:
        self.report.cases += 1
        shutil.rmtree(self._work)
        shutil.copytree(self._before, self._work, symlinks=True)
        code, _ = self._once(name, number)
        may_leave = name in _KILLS or call.what == "unlink"
        wrong = self._judge(code, old, new, may_leave=may_leave)
        self.report.wrong += [f"{name} at {number} {self._short(call)}: {text}" for text in wrong]

    def _judge(self, code: int, old: str, new: str, *, may_leave: bool) -> Iterator[str]:
        if code not in (_DONE, _REFUSED, -signal.SIGKILL):
            yield f"exit {code}: an exception that says nothing to a person, or a hang"
        _, found = self._apart(self._read)
        if found not in (old, new) or (code == _DONE and found != new):
            yield f"exit {code}, and it reads {_brief(found)}: neither old nor new"
        if not may_leave and (partial := self._partial()):
            yield f"left behind: {partial}"
        code, found = self._apart(self._again)
        if code != _DONE or found != new:
            yield f"done again it exits {code} and reads {_brief(found)}"

    def _read(self) -> int:
        found = repr(self.operation.read(self._work))
        self._said.write_text(found, "utf-8")
        return _DONE

    def _again(self) -> int:
        (self.operation.again or self.operation.act)(self._work)
        return self._read()

    def _apart(self, what: Callable[[], int]) -> tuple[int, str]:
        """Do it in a process of its own: exit code, what it read."""
        self._said.write_text("nothing was read", "utf-8")
        child = os.fork()
        if not child:
            code = _BROKE
            try:
                faulthandler.dump_traceback_later(_HANGS_SECONDS, exit=True)
                code = what()
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), self._said.read_text("utf-8")

    def _once(self, fault: str, number: int, profile: bool = False) -> tuple[int, list[Call]]:
        """Do it and meet the fault; its exit code (minus a signal), and the calls it made."""
        self._trace.write_bytes(b"")
        ran = self._trace.with_name("ran")
        code, _ = self._apart(lambda: self._act(fault, number, ran if profile else None))
        if profile:
            self.report.ran = [tuple(each) for each in json.loads(ran.read_text("utf-8"))]
        lines = self._trace.read_text("utf-8").splitlines()
        return code, [Call(*line.split("\t")[1:]) for line in lines]

    def _act(self, fault: str, number: int, ran: Path | None) -> int:
        seen: set[tuple[str, str]] = set()
        if ran:
            sys.setprofile(_noting(seen))
        descriptor = os.open(self._trace, os.O_WRONLY | os.O_APPEND)
        _arm(self._work, number, FAULTS.get(fault, 0), descriptor)
        try:
            self.operation.act(self._work)
        except BaseException as error:
            if not self.operation.explains(error, fault):
                raise
            return _REFUSED
        finally:
            _arm(Path("/nowhere"), 0, 0, -1)
            sys.setprofile(None)
            if ran:
                ran.write_text(json.dumps(sorted(seen)), "utf-8")
        return _DONE

    def _partial(self) -> list[str]:
        return [str(path.relative_to(self._work)) for path in self._work.rglob(f"{PARTIAL}*")]

    def _short(self, call: Call) -> str:
        return " ".join(part.replace(str(self._work), "") for part in call if part)


def out_of_order(calls: list[Call]) -> Iterator[str]:
    """Where a power cut could leave a name without its content.

    Before something gets its name its content has to be on the disk: every file that was written,
    every folder that gained an entry. After it the folder in which it got its name. What is still
    called a partial has no name yet. Asked while all that was written is still there.
    """
    unflushed: set[str] = set()
    owed: dict[str, str] = {}
    for call in calls:
        if call.what == "write":
            unflushed.add(call.path)
        elif call.what == "fsync":
            unflushed.discard(call.path)
            owed.pop(call.path, None)
        elif call.what in ("create", "mkdir"):
            unflushed.add(_folder_of(call.path))
        elif call.what == "rename":
            written = _is_written(call.path, calls)
            moved = {path for path in unflushed if _is_below(path, call.path)}
            unflushed -= moved
            moved = {call.other + path[len(call.path) :] for path in moved}
            if PARTIAL in call.other:
                unflushed |= moved | {_folder_of(call.other)}
            elif written:
                yield from (f"{path} gets its name unflushed" for path in moved if _is_there(path))
                owed[_folder_of(call.other)] = call.other
    yield from (f"{folder} not flushed after {name} got its name" for folder, name in owed.items())


def _is_written(path: str, calls: list[Call]) -> bool:
    """Whether it was written here, not only moved."""
    return any(_is_below(call.path, path) for call in calls if call.what == "write")


def _is_there(path: str) -> bool:
    """Not so where a library gave it another name by a call that can't be seen."""
    return Path(path).exists()


def _folder_of(path: str) -> str:
    return str(Path(path).parent)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")


def _arm(folder: Path, number: int, fault: int, descriptor: int) -> None:
    arm = ctypes.CDLL(None).disk_arm
    arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    arm.restype = None
    arm(os.fsencode(folder), number, fault, descriptor)


def _noting(seen: set[tuple[str, str]]) -> Callable[[FrameType, str, Any], None]:
    """A profiler that notes every function of the studio that is called: file and name."""
    ours = f"{ROOT / 'studio'}{os.sep}"

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ours):
            seen.add((str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname))

    return note


def _brief(text: str) -> str:
    return text if len(text) < 200 else f"{text[:200]}…"


def _quick_place() -> str | None:
    """In memory where there is such a place: thousands of flushes wear a real disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", help="where OPERATIONS are")
    parser.add_argument("--only", default="", help="operations whose names hold this")
    parser.add_argument("--most", type=int, default=10_000, help="calls tried, evenly chosen")
    options = parser.parse_args()
    operations: list[Operation] = importlib.import_module(options.module).OPERATIONS
    gc.disable()  # what an earlier operation left is not closed in a child
    for operation in operations:
        if options.only in operation.name:
            with tempfile.TemporaryDirectory(dir=_quick_place()) as place:
                report = Trial(operation, Path(place).resolve(), options.most).run()
            print(json.dumps({"name": operation.name} | report.__dict__), flush=True)


if __name__ == "__main__":
    main()
