"""The preparer's process: requests as JSON lines on standard input, answers on standard output."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import msgspec

from studio.core import preparing as wire
from studio.core.errors import StudioError
from studio.library.folders import Home
from studio.preparer import rendering


class _Numbered(msgspec.Struct):
    """As much of a request as is needed to answer it."""

    id: int


class Given(Exception):
    """The request in work is cancelled."""


class Server:
    """Answers one request after the other; a second thread listens for Cancel and for the end."""

    def __init__(self, home: Home, requests: BinaryIO, answers: BinaryIO) -> None:
        kept = {wire.Inspect: partial(_inspect, home), wire.Prepare: partial(_prepare, home)}
        self._work = WORK | kept
        self._requests = requests
        self._answers = answers
        self._waiting: queue.SimpleQueue[wire.Ask] = queue.SimpleQueue()
        self._cancelled: set[int] = set()

    def run(self) -> NoReturn:
        """Serve until standard input ends, which ends the process at once."""
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while True:
            self._answer(self._waiting.get())

    def _listen(self) -> None:
        for line in self._requests:
            try:
                ask = wire.ask_decoder.decode(line)
            except msgspec.MsgspecError as error:
                traceback.print_exc()
                self._refuse_unread(line, error)
                continue
            if isinstance(ask, wire.Cancel):
                self._cancelled.add(ask.id)
            else:
                self._waiting.put(ask)
        os._exit(0)  # whatever is in work: whoever asked for it is gone

    def _refuse_unread(self, line: bytes, error: Exception) -> None:
        """Whoever asked would wait, and then take the silence for a hang."""
        with contextlib.suppress(msgspec.MsgspecError):
            self._say(_fault(msgspec.json.decode(line, type=_Numbered).id, error))

    def _answer(self, ask: wire.Ask) -> None:
        def tell(text: str, share: float | None) -> None:
            if ask.id in self._cancelled:
                raise Given
            self._say(wire.Progress(id=ask.id, text=text, share=share))

        try:
            value = self._work[type(ask)](ask, tell)
            self._say(wire.Done(id=ask.id, value=wire.plain(value)))
        except Given:
            self._say(wire.Cancelled(id=ask.id))
        except StudioError as error:
            self._say(_refusal(ask.id, error))
        except Exception as error:
            traceback.print_exc()
            self._say(_fault(ask.id, error))
        self._cancelled.discard(ask.id)

    def _say(self, answer: wire.Answer) -> None:
        self._answers.write(wire.encode(answer) + b"\n")
        self._answers.flush()


def main(arguments: list[str]) -> int:
    """`--home DIR`. What libraries print goes to standard error."""
    if len(arguments) != 2 or arguments[0] != "--home":
        print("usage: preparer --home DIR", file=sys.stderr)
        return 2
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with rendering.warm():
        Server(Home(Path(arguments[1])), sys.stdin.buffer, answers).run()


def _inspect(home: Home, ask: wire.Inspect, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer import kept
    from studio.preparer.report import inspect

    asked = ask.dataset, Path(ask.model) if ask.model else None, ask.data
    make = partial(inspect, *asked, tell, ask.seed)
    return kept.report(kept.cache_of(home), *asked, ask.seed, make, tell)


def _peek(ask: wire.Peek, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.first_rows import first_rows

    return first_rows(ask.part)


def _rows(ask: wire.Rows, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.rows import rows

    return rows(ask.dataset, ask.refs, tell)


def _examples(ask: wire.Examples, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.lens import examples

    model = Path(ask.model)
    return examples(ask.dataset, model, ask.data, ask.rows, ask.start, ask.count, tell)


def _prepare(home: Home, ask: wire.Prepare, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer import kept
    from studio.preparer.prepare import prepare

    folder, recipe, model = Path(ask.folder), ask.recipe, Path(ask.model)
    asked = folder, recipe.dataset, model, recipe.data, recipe.training.seed
    make = partial(prepare, folder, recipe, model, tell)
    return kept.prepared(kept.cache_of(home), *asked, make, tell)


def _token_count(ask: wire.TokenCount, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.tokens import Encoder

    with Encoder(Path(ask.model)) as encoder:
        text = encoder.prompt(ask.messages) if ask.messages else ask.text
        return encoder.count(text)


def _templates(ask: wire.Templates, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.choices import choices

    return choices(Path(ask.model), ask.chosen, ask.system_prompt)


def _hub_search(ask: wire.HubSearch, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.hub import search

    return search(ask.text, ask.token, ask.limit)


def _download(ask: wire.Download, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.hub import download

    return str(download(ask.repo, ask.revision, Path(ask.target), ask.token, tell))


def _fetch_dataset(ask: wire.FetchDataset, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.hub_datasets import fetch

    return fetch(Home(Path(ask.home)), ask.part, ask.token, tell)


def _build_passages(ask: wire.BuildPassages, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.build import from_texts

    return from_texts(ask, tell)


def _copy_dataset(ask: wire.CopyDataset, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.build import copy

    return copy(Home(Path(ask.home)), ask.name, ask.part, tell)


# imported when asked for: a window that searches the hub needs no pyarrow, and the other way round
def _upload(ask: wire.Upload, tell: Callable[[str, float | None], None]) -> Any:
    from studio.preparer.hub_upload import upload

    return upload(Path(ask.folder), ask.repo, ask.token, ask.private, tell)


WORK: dict[type, Callable[[Any, Callable[[str, float | None], None]], Any]] = {
    wire.Peek: _peek,
    wire.Rows: _rows,
    wire.Examples: _examples,
    wire.TokenCount: _token_count,
    wire.Templates: _templates,
    wire.HubSearch: _hub_search,
    wire.Download: _download,
    wire.Upload: _upload,
    wire.FetchDataset: _fetch_dataset,
    wire.BuildPassages: _build_passages,
    wire.CopyDataset: _copy_dataset,
}


def _refusal(request: int, error: StudioError) -> wire.Refused:
    return wire.Refused(
        id=request, title=error.title, text=error.text, fix=error.fix, problems=error.problems
    )


def _fault(request: int, error: Exception) -> wire.Refused:
    return wire.Refused(
        id=request,
        title="The preparer failed",
        text=f"Something unforeseen happened: {type(error).__name__}: {error}.",
        fix="Report this with logs/preparer.log from the studio's folder.",
        fault=True,
    )
