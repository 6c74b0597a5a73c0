"""The client of the preparer: starts the process, asks it, ends it when it hangs."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

import studio
from studio.client.cancelled import Cancelled, Fault
from studio.core import preparing as wire
from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, Example, FirstRows, Prepared, TemplateChoice
from studio.core.hub import HubModel
from studio.core.recipe import DataPart, DatasetPart, Recipe
from studio.library import hub_datasets, settings
from studio.library.folders import Home

SILENCE_SECONDS = 60.0
HUB_SILENCE_SECONDS = 180.0
_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.05
_LOG_BYTES = 1 << 20
T = TypeVar("T")
Progress = Callable[[str, float | None], None]
Asked = Callable[[], bool]


class Preparer:
    """One warm preparer process for a home, started with the first question.

    Methods may be called from any thread; one question is answered at a time. Each raises
    StudioError with what the preparer says, Cancelled once `cancelled()` is true, and StudioError
    when it has said nothing for `silence` seconds: then the process is ended, and the next
    question starts another.
    """

    def __init__(self, home: Home, silence: float = SILENCE_SECONDS) -> None:
        self._home = home
        self._silence = silence
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._last_id = 0
        self._closed = False

    def inspect(
        self,
        dataset: Sequence[DatasetPart],
        model: Path | None = None,
        data: DataPart | None = None,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> DatasetReport:
        """What a dataset is; with a model folder, its tokens as well.

        This and what follows downloads datasets of the hub that aren't here yet.
        """
        return self.ask(
            wire.Inspect,
            DatasetReport,
            on_progress,
            cancelled,
            dataset=self.fetched(dataset, on_progress, cancelled),
            model=str(model or ""),
            data=data or DataPart(),
        )

    def peek(
        self,
        part: DatasetPart,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> FirstRows:
        """The first rows of a dataset, and what its mapping makes of them."""
        (here,) = self.fetched([part], on_progress, cancelled)
        return self.ask(wire.Peek, FirstRows, on_progress, cancelled, part=here)

    def examples(
        self,
        dataset: Sequence[DatasetPart],
        model: Path,
        data: DataPart | None = None,
        rows: Sequence[int] = (),
        start: int = 0,
        count: int = 10,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> list[Example]:
        """Rows for the token lens: by line number, or `count` from the `start`-th (from 0) on."""
        return self.ask(
            wire.Examples,
            list[Example],
            on_progress,
            cancelled,
            dataset=self.fetched(dataset, on_progress, cancelled),
            model=str(model),
            data=data or DataPart(),
            rows=tuple(rows),
            start=start,
            count=count,
        )

    def prepare(
        self,
        folder: Path,
        recipe: Recipe,
        model: Path,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> Prepared:
        """Write the data folder of a run."""
        dataset = self.fetched(recipe.dataset, on_progress, cancelled)
        recipe = msgspec.structs.replace(recipe, dataset=dataset)
        return self.ask(
            wire.Prepare,
            Prepared,
            on_progress,
            cancelled,
            folder=str(folder),
            recipe=recipe,
            model=str(model),
        )

    def hub_search(
        self,
        text: str,
        token: str = "",
        limit: int = 30,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> list[HubModel]:
        """Models of the hub that fit a text, best first."""
        return self.ask(
            wire.HubSearch,
            list[HubModel],
            on_progress,
            cancelled,
            HUB_SILENCE_SECONDS,
            text=text,
            token=token,
            limit=limit,
        )

    def download(
        self,
        repo: str,
        revision: str,
        target: Path,
        token: str = "",
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> Path:
        """Fetch a model of the hub into a folder; what is there already is kept."""
        path = self.ask(
            wire.Download,
            str,
            on_progress,
            cancelled,
            HUB_SILENCE_SECONDS,
            repo=repo,
            revision=revision,
            target=str(target),
            token=token,
        )
        return Path(path)

    def fetched(
        self,
        dataset: Sequence[DatasetPart],
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> tuple[DatasetPart, ...]:
        """The datasets with paths in place of the hub's names; what isn't here is downloaded."""
        return tuple(self._fetched(part, on_progress, cancelled) for part in dataset)

    def _fetched(
        self, part: DatasetPart, on_progress: Progress | None, cancelled: Asked | None
    ) -> DatasetPart:
        with contextlib.suppress(StudioError):
            return hub_datasets.located(self._home, part)
        return self.ask(
            wire.FetchDataset,
            DatasetPart,
            on_progress,
            cancelled,
            HUB_SILENCE_SECONDS,
            part=part,
            home=str(self._home.root.absolute()),
            token=settings.token(self._home) or "",
        )

    def templates(
        self, model: Path, chosen: str = "", system_prompt: str = ""
    ) -> list[TemplateChoice]:
        """The chat templates that may be chosen for a model, each with a short chat as it writes
        it; with `chosen` that one alone, a name or the path of a .jinja file."""
        return self.ask(
            wire.Templates,
            list[TemplateChoice],
            model=str(model),
            chosen=chosen,
            system_prompt=system_prompt,
        )

    def token_count(
        self, model: Path, text: str = "", messages: Sequence[dict[str, Any]] = ()
    ) -> int:
        """Tokens of a text, or of chat messages up to where the answer would begin."""
        chat = tuple(messages)
        return self.ask(wire.TokenCount, int, model=str(model), text=text, messages=chat)

    def ask(
        self,
        kind: type[wire.Ask],
        answer: type[T],
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
        silence: float | None = None,
        **arguments: Any,
    ) -> T:
        """One request of `studio.core.preparing` and its answer, decoded as `answer`."""
        with self._lock:
            if self._closed:
                raise Cancelled("Preparing")
            self._last_id += 1
            process = self._started()
            process.send(kind(id=self._last_id, **arguments))
            question = _Question(self._last_id, on_progress, cancelled, silence or self._silence)
            try:
                return msgspec.json.decode(question.answer(process), type=answer)
            except _Lost as lost:
                self._process = None
                raise lost.error(self._closed, kind in _OF_THE_HUB) from None

    def close(self) -> None:
        """End the process; a question in work ends as cancelled."""
        self._closed = True
        if (process := self._process) is not None:
            process.end()

    def __enter__(self) -> Preparer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> _Process:
        if self._process is None or not self._process.living:
            self._process = _Process(self._home)
        return self._process


_OF_THE_HUB = (wire.HubSearch, wire.Download, wire.FetchDataset)


class _Lost(Exception):
    """The process is gone or was ended, in the middle of a question."""

    def __init__(self, silent: float = 0.0, cancelled: bool = False) -> None:
        self._silent = silent
        self._cancelled = cancelled

    def error(self, closed: bool, hub: bool) -> StudioError:
        if closed or self._cancelled:
            return Cancelled("Preparing")
        if self._silent and hub:
            return StudioError(
                "The hub doesn't answer",
                f"Nothing came from the hub for {self._silent:.0f} seconds.",
                "Check the connection and try again; a download goes on where it stopped.",
            )
        if self._silent:
            return StudioError(
                "Preparing hangs",
                f"The preparer said nothing for {self._silent:.0f} seconds and was ended; a chat "
                "template that never comes to an end looks like this.",
                "Try again; if it happens again, choose another model or repair its template.",
            )
        return Fault(
            "The preparer crashed",
            "The process that reads datasets ended unexpectedly.",
            "Try again; logs/preparer.log in the studio's folder has its last words.",
        )


class _Question:
    """Waits for the answer to one request."""

    def __init__(
        self, number: int, progress: Progress | None, cancelled: Asked | None, silence: float
    ) -> None:
        self._id = number
        self._progress = progress
        self._cancelled = cancelled or (lambda: False)
        self._silence = silence

    def answer(self, process: _Process) -> msgspec.Raw:
        heard, given_up = time.monotonic(), 0.0
        while True:
            if not given_up and self._cancelled():
                given_up = time.monotonic()
                process.send(wire.Cancel(id=self._id))
            said = process.hear(_POLL_SECONDS)
            now = time.monotonic()
            if said is not None and said.id == self._id:
                heard = now
                if not isinstance(said, wire.Progress):
                    return _value(said)
                if self._progress is not None and not given_up:
                    self._progress(said.text, said.share)
            elif given_up and now - given_up > _PATIENCE_SECONDS:
                process.end()
                raise _Lost(cancelled=True)
            elif now - heard > self._silence:
                process.end()
                raise _Lost(silent=self._silence)


def _value(said: wire.AnyAnswer) -> msgspec.Raw:
    match said:
        case wire.Done():
            return said.value
        case wire.Refused():
            kind = Fault if said.fault else StudioError
            raise kind(said.title, said.text, said.fix, said.problems)
    raise Cancelled("Preparing")


class _Process:
    """The process, and a thread that reads its answers."""

    def __init__(self, home: Home) -> None:
        home.make()
        log = home.logs / "preparer.log"
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "studio", "preparer", "--home", str(home.root.absolute())]
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=Path(studio.__file__).parent.parent,
                creationflags=_windows_flags(),
            )
        self._answers: queue.SimpleQueue[wire.AnyAnswer | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="preparer answers", daemon=True)
        self._reader.start()

    @property
    def living(self) -> bool:
        return self._child.poll() is None

    def send(self, message: msgspec.Struct) -> None:
        """A request; to a process that is gone it goes nowhere, and `hear` says so."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._child.stdin.write(wire.encode(message) + b"\n")
            self._child.stdin.flush()

    def hear(self, seconds: float) -> wire.AnyAnswer | None:
        """The next answer, nothing within this time; _Lost when the process is gone."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        if answer is None:
            self.end()
            raise _Lost
        return answer

    def end(self) -> None:
        """Kill it and wait; it holds nothing that could be half-written under its final name."""
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            with contextlib.suppress(msgspec.MsgspecError):
                self._answers.put(wire.answer_decoder.decode(line))
        self._answers.put(None)


def _windows_flags() -> int:
    if sys.platform != "win32":
        return 0
    return subprocess.CREATE_NO_WINDOW
