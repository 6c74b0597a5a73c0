"""The client of the preparer: what may be asked of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from studio.client.lanes import Asked, Lane, Progress
from studio.core import preparing as wire
from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, Example, FirstRows, Prepared, TemplateChoice
from studio.core.findings import RowRef, SeenRow
from studio.core.hub import HubModel
from studio.core.own_sets import Built
from studio.core.recipe import DataPart, DatasetPart, Recipe, TrainingPart
from studio.library import hub_datasets, settings
from studio.library.folders import Home

SILENCE_SECONDS = 60.0
HUB_SILENCE_SECONDS = 180.0
UPLOAD_SILENCE_SECONDS = 6 * 3600.0
"""A large file is sent in one piece, without a word in between."""
T = TypeVar("T")

APART: tuple[tuple[type[wire.Ask], ...], ...] = (
    (wire.Peek, wire.Examples, wire.Rows, wire.TokenCount, wire.Templates),
    (wire.HubSearch,),
    (wire.Download, wire.FetchDataset),
    (wire.Upload,),
)
"""Questions with a process of their own, which don't wait for others, nor keep them waiting."""


class Preparer:
    """Warm preparer processes for a home: one reads whole datasets, one answers what is quick, one
    searches the hub, one loads from it. Each starts with its first question.

    Methods may be called from any thread; each process answers one question at a time. Each raises
    StudioError with what the preparer says, Cancelled once `cancelled()` is true, and StudioError
    when it has said nothing for `silence` seconds: then the process is ended, and the next
    question starts another.
    """

    def __init__(self, home: Home, silence: float = SILENCE_SECONDS) -> None:
        self._home = home
        self._silence = silence
        self._work = Lane(home)
        self._apart: dict[type[wire.Ask], Lane] = {}
        for kinds in APART:
            self._apart |= dict.fromkeys(kinds, Lane(home))

    def inspect(
        self,
        dataset: Sequence[DatasetPart],
        model: Path | None = None,
        data: DataPart | None = None,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
        seed: int = TrainingPart().seed,
    ) -> DatasetReport:
        """What a dataset is; with a model folder, its tokens as well. `seed` draws the split.

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
            seed=seed,
        )

    def rows(
        self,
        dataset: Sequence[DatasetPart],
        refs: Sequence[RowRef],
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> list[SeenRow]:
        """The rows that a finding names, as they stand in their files, in its order."""
        return self.ask(
            wire.Rows,
            list[SeenRow],
            on_progress,
            cancelled,
            dataset=self.fetched(dataset, on_progress, cancelled),
            refs=tuple(refs),
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

    def build_passages(
        self,
        source: Path,
        name: str,
        size: int,
        overlap: int = 0,
        model: Path | None = None,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> Built:
        """Make an own set of the texts of a file or folder, in passages of at most `size`
        tokens of the model, or characters without one."""
        return self.ask(
            wire.BuildPassages,
            Built,
            on_progress,
            cancelled,
            source=str(source.absolute()),
            home=str(self._home.root.absolute()),
            name=name,
            size=size,
            overlap=overlap,
            model=str(model or ""),
        )

    def copy_dataset(
        self,
        part: DatasetPart,
        name: str,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> Built:
        """Make an own set, which can be edited, of the usable rows of a dataset."""
        (here,) = self.fetched([part], on_progress, cancelled)
        home = str(self._home.root.absolute())
        return self.ask(
            wire.CopyDataset, Built, on_progress, cancelled, part=here, home=home, name=name
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

    def upload(
        self,
        folder: Path,
        repo: str,
        token: str = "",
        private: bool = True,
        on_progress: Progress | None = None,
        cancelled: Asked | None = None,
    ) -> str:
        """Put a folder into a repository of the hub; the address of its page."""
        return self.ask(
            wire.Upload,
            str,
            on_progress,
            cancelled,
            UPLOAD_SILENCE_SECONDS,
            folder=str(folder),
            repo=repo,
            token=token,
            private=private,
        )

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
        lane = self._apart.get(kind, self._work)
        said = lane.ask(kind, on_progress, cancelled, silence or self._silence, arguments)
        return msgspec.json.decode(said, type=answer)

    def close(self) -> None:
        """End the processes; a question in work ends as cancelled."""
        for lane in {self._work, *self._apart.values()}:
            lane.close()

    def __enter__(self) -> Preparer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
