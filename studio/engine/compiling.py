"""What of a model is compiled, and from which step of a run on: decided once and written down.

On a processor the pieces of layers are (fast/pieces.py), by a process of its own; the libraries
are kept in the home folder, and a later run has them from its first step on. On a card each
decoder layer is, by torch (unverified).
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
import torch

from studio.engine import children, room
from studio.engine.control import Control
from studio.engine.decided import NEVER, remember
from studio.engine.fast import compiler, libraries, native, regions
from studio.engine.job import Context
from studio.engine.learner import Learner
from studio.library import accelerations

LONG_SECONDS = 1200.0
"""Less than this left of a run doesn't earn what compiling takes."""
WARM_STEPS = 1
"""Steps whose time says little, kernels being warmed up."""
TIMED_STEPS = 2
NO_ROOM = (
    "Too little memory is free to compile parts of the model; the run goes on without, and the "
    "next start tries again."
)


class _LeavingError(Exception):
    """The run is to end or pause; nobody waits for a compiler then."""


class _NoRoomError(Exception):
    """There is too little memory for a compiler beside this run."""


class Compiling:
    """The part of one run that is compiled, while an engine works on it."""

    def __init__(self, context: Context, learner: Learner, total: int, control: Control) -> None:
        self._context = context
        self._learner = learner
        self._total = total
        self._control = control
        self._seconds: list[float] = []
        names = learner.setup.decided.accelerations
        self._regions = regions.of(learner.setup.model) if "regions" in names else None
        self._ours = "pieces" in names or self._regions is not None
        self._there = False
        self._folders: list[Path] = []

    @property
    def _from(self) -> int | None:
        return self._learner.setup.decided.compiled_from

    def begin(self, step: int) -> None:
        """Before the first step of this engine: have ready what a resumed run used; begin with
        what is there already or was asked for."""
        if not self._ours or self._from == NEVER:
            return
        if self._from is not None:
            self._make()
        elif (self._asked_for() or self._kept()) and self._make():
            self._decide(step)

    def hear(self, done: int, seconds: float) -> None:
        """After so many steps, the last of which took these seconds."""
        for folder in self._folders:
            libraries.mark_used(folder)
        if not self._ours or self._from is not None:
            return
        self._seconds.append(seconds)
        timed = self._seconds[WARM_STEPS:]
        if len(timed) < TIMED_STEPS:
            return
        left = (self._total - done) * sum(timed) / len(timed)
        if left < LONG_SECONDS:
            self._decide(NEVER)
        elif self._make():
            self._decide(done)

    def at_work(self, step: int) -> AbstractContextManager[None]:
        """Inside of it, the step after `step` whole ones, what is compiled is used if it is to be.
        Evaluations and answers go without."""
        if not self._there or self._from is None or step < self._from:
            return nullcontext()
        return self._regions.compiled() if self._regions else native.at_work(True)

    def _make(self) -> bool:
        """Have it ready; where that can't be the run goes on without, and says so."""
        try:
            if self._regions is None:
                for folder in [self._libraries(name) for name in self._formats()]:
                    native.load(folder)
                    self._folders.append(folder)
        except _LeavingError:
            return False
        except _NoRoomError:
            self._ours = False
            self._context.channel.note(NO_ROOM)
            return False
        except (OSError, RuntimeError) as error:
            print(f"compiling: {error!r}")
            self._context.channel.note(
                "Compiling parts of the model failed; the run goes on without.", "warning"
            )
            self._decide(NEVER)
            return False
        self._there = True
        return True

    def _libraries(self, name: str) -> Path:
        folder = libraries.kept(self._context.home, name) or self._compile(name)
        libraries.mark_used(folder)
        return folder

    def _compile(self, name: str) -> Path:
        if room.spare(torch.device("cpu")) < compiler.PEAK_BYTES:
            raise _NoRoomError
        self._context.channel.stage("Compiling parts of the model")
        begun = time.monotonic()

        def write(folder: Path) -> None:
            command = children.python("-m", compiler.__name__, folder, name)
            status, last = children.run(command, lambda line: None, self._listen)
            if status:
                raise RuntimeError("\n".join(last))

        made = libraries.keep(self._context.home, name, write)
        seconds = time.monotonic() - begun
        self._context.channel.note(
            f"Compiled parts of the model for this machine ({seconds:.0f} s)."
        )
        return made

    def _listen(self) -> None:
        self._control.listen()
        if self._control.leaving:
            raise _LeavingError

    def _decide(self, step: int) -> None:
        setup = self._learner.setup
        decided = msgspec.structs.replace(setup.decided, compiled_from=step)
        self._learner.setup = dataclasses.replace(setup, decided=decided)
        remember(self._context.folder, decided)

    def _asked_for(self) -> bool:
        names = accelerations.asked_for(self._context.home)
        return ("pieces" if self._regions is None else "regions") in names

    def _kept(self) -> bool:
        home = self._context.home
        return self._regions is None and all(libraries.kept(home, name) for name in self._formats())

    def _formats(self) -> list[str]:
        """Number formats that numbers travel in between layers."""
        setup = self._learner.setup
        weights = next(setup.model.parameters()).dtype
        return sorted({setup.decided.dtype, str(weights).removeprefix("torch.")})
