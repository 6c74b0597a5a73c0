"""What a client may ask of the preparer, and what it answers: one JSON line each."""

from __future__ import annotations

from typing import Any

import msgspec

from studio.core.findings import RowRef
from studio.core.problem import Problem
from studio.core.recipe import DataPart, DatasetPart, Recipe, TrainingPart


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask"):
    """One request; every answer to it carries the same `id`."""

    id: int


class Inspect(Ask, frozen=True, kw_only=True, tag="inspect"):
    """A facts.DatasetReport. Without a `model` folder nothing is rendered or counted."""

    dataset: tuple[DatasetPart, ...]
    model: str = ""
    data: DataPart = DataPart()
    seed: int = TrainingPart().seed


class Rows(Ask, frozen=True, kw_only=True, tag="rows"):
    """A list of findings.SeenRow: the rows of these references as they stand in their files."""

    dataset: tuple[DatasetPart, ...]
    refs: tuple[RowRef, ...]


class Peek(Ask, frozen=True, kw_only=True, tag="peek"):
    """A facts.FirstRows: quick, whatever the dataset's size."""

    part: DatasetPart


class Examples(Ask, frozen=True, kw_only=True, tag="examples"):
    """A list of facts.Example: these rows (line numbers), or `count` from `start` (from 0) on."""

    dataset: tuple[DatasetPart, ...]
    model: str
    data: DataPart = DataPart()
    rows: tuple[int, ...] = ()
    start: int = 0
    count: int = 10


class Prepare(Ask, frozen=True, kw_only=True, tag="prepare"):
    """Write the data folder of a run; a facts.Prepared."""

    folder: str
    recipe: Recipe
    model: str


class TokenCount(Ask, frozen=True, kw_only=True, tag="token_count"):
    """How many tokens a model makes of a text or of chat messages; an int."""

    model: str
    text: str = ""
    messages: tuple[dict[str, Any], ...] = ()


class Templates(Ask, frozen=True, kw_only=True, tag="templates"):
    """A list of facts.TemplateChoice for a model; with `chosen`, that template alone."""

    model: str
    chosen: str = ""
    system_prompt: str = ""


class HubSearch(Ask, frozen=True, kw_only=True, tag="hub_search"):
    """Models of the hub that fit a text. The token reaches the preparer by this line alone."""

    text: str
    token: str = ""
    limit: int = 30


class Download(Ask, frozen=True, kw_only=True, tag="download"):
    """Fetch a model of the hub into `target`, resuming what is there; the folder's path."""

    repo: str
    target: str
    revision: str = ""
    token: str = ""


class Upload(Ask, frozen=True, kw_only=True, tag="upload"):
    """Put a folder into a repository of the hub, made where there is none; its page's address."""

    folder: str
    repo: str
    token: str = ""
    private: bool = True


class FetchDataset(Ask, frozen=True, kw_only=True, tag="fetch_dataset"):
    """Bring a dataset of the hub under this home; a DatasetPart with the path of its copy."""

    part: DatasetPart
    home: str
    token: str = ""


class BuildPassages(Ask, frozen=True, kw_only=True, tag="build_passages"):
    """Make an own set `name` of the texts of a file or folder; an own_sets.Built.

    Passages are at most `size` long and share up to `overlap`: tokens as the `model` folder makes
    them, or characters without one.
    """

    source: str
    home: str
    name: str
    size: int
    overlap: int = 0
    model: str = ""


class CopyDataset(Ask, frozen=True, kw_only=True, tag="copy_dataset"):
    """Make an own set `name` of the usable rows of a dataset; an own_sets.Built."""

    part: DatasetPart
    home: str
    name: str


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask", tag="cancel"):
    """Give the request of this `id` up, at its next sign of progress."""

    id: int


AnyAsk = (
    Inspect
    | Peek
    | Examples
    | Prepare
    | Rows
    | TokenCount
    | Templates
    | HubSearch
    | Upload
    | Download
    | FetchDataset
    | BuildPassages
    | CopyDataset
    | Cancel
)


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="answer"):
    """One answer to the request of this `id`."""

    id: int


class Progress(Answer, frozen=True, kw_only=True, tag="progress"):
    """What it is doing, with a share of 1 where that is known. Anything but this is the last."""

    text: str
    share: float | None = None


class Done(Answer, frozen=True, kw_only=True, tag="done"):
    """The value asked for."""

    value: msgspec.Raw


class Refused(Answer, frozen=True, kw_only=True, tag="refused"):
    """A StudioError; `fault` marks what is the studio's own mistake."""

    title: str
    text: str
    fix: str = ""
    problems: tuple[Problem, ...] = ()
    fault: bool = False


class Cancelled(Answer, frozen=True, kw_only=True, tag="cancelled"):
    """Given up as asked."""


AnyAnswer = Progress | Done | Refused | Cancelled

ask_decoder = msgspec.json.Decoder(AnyAsk)
answer_decoder = msgspec.json.Decoder(AnyAnswer)
encode = msgspec.json.Encoder().encode


def plain(value: Any) -> msgspec.Raw:
    """A value as it travels in Done."""
    return msgspec.Raw(encode(value))
