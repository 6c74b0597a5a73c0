"""From the datasets of a recipe to the data folder of a run: token ids, split, manifest."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.ipc

from studio.core.errors import StudioError
from studio.core.facts import Prepared, PreparedPart
from studio.core.recipe import Recipe
from studio.library import datasets
from studio.library.files import sweep_partials, whole_folder, write_whole
from studio.library.folders import JobFolder
from studio.preparer import dataset
from studio.preparer.pieces import name_of, revision_of
from studio.preparer.progress import Tell, Throttled, silent
from studio.preparer.report import BATCH, check_group, counted, encoded
from studio.preparer.split import Split
from studio.preparer.survey import Survey
from studio.preparer.tally import Tally
from studio.preparer.tokens import Encoder, Tokens
from studio.preparer.verdict import Verdict, split_of

SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])
_ROWS = "rows.arrow"


def prepare(folder: Path, recipe: Recipe, model: Path, tell: Tell = silent) -> Prepared:
    """Write data/ in a run's folder, whole or not at all.

    Raises StudioError where the dataset gives nothing to learn from, or the disk is full.
    """
    try:
        sweep_partials(folder)
        with Encoder(model, recipe.data) as encoder, whole_folder(JobFolder(folder).data) as data:
            return _write(data, recipe, model, encoder, Throttled(tell))
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise StudioError(
            "Disk is full" if full else "Run folder can't be written",
            f"The prepared data can't be written to “{folder}”: {error.strerror or error}.",
            "Free some space and start again." if full else "Check that you may write there.",
        ) from error


def _write(folder: Path, recipe: Recipe, model: Path, encoder: Encoder, tell: Tell) -> Prepared:
    tally, survey = Tally(recipe.data), Survey(recipe.data.max_length)
    rows = folder / _ROWS
    left_out = _all_rows(rows, recipe, encoder, tally, survey, tell)
    tally.check(encoder.template)
    spread = tally.spread
    verdict = Verdict(survey, recipe.data, spread.lengths(), spread.longest, tell)
    split = split_of(survey, verdict, recipe.data.eval_share, recipe.training.seed)
    parts = [
        PreparedPart(path=name_of(p), revision=revision_of(p), left_out=n)
        for p, n in zip(recipe.dataset, left_out, strict=True)
    ]
    weights = [part.weight for part in recipe.dataset]
    chosen = _chosen(survey, verdict, split, weights)
    prepared = _divide(folder, rows, chosen, parts, tell)
    _check_left(prepared, verdict)
    rows.unlink()
    template = encoder.template
    manifest = msgspec.structs.replace(
        prepared,
        max_length=recipe.data.max_length,
        template=template.source,
        chat_template=template.text,
        template_digest=hashlib.sha256(template.text.encode()).hexdigest(),
        tokenizer_digest=hashlib.sha256((model / "tokenizer.json").read_bytes()).hexdigest(),
        seed=recipe.training.seed,
        dropped=verdict.dropped,
        repaired=verdict.repaired,
        score_rows=_score_rows(recipe),
    )
    write_whole(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def _check_left(prepared: Prepared, verdict: Verdict) -> None:
    if prepared.train_rows:
        return
    if not verdict.kept.any():
        raise StudioError(
            "No rows to train on",
            "The rules of the recipe leave no row to train on.",
            "Take some of the rules in data.drop away, or raise the maximum length.",
        )
    raise StudioError(
        "No rows to train on",
        "The weights of the datasets leave no row to train on.",
        "Raise the weights; 1 takes every row once.",
    )


def _all_rows(
    path: Path, recipe: Recipe, encoder: Encoder, tally: Tally, survey: Survey, tell: Tell
) -> list[int]:
    """Every usable row into one file in its order; choosing needs to have seen them all.

    Counts for each dataset the rows that aren't usable.
    """
    left_out = [0] * len(recipe.dataset)
    length = recipe.data.max_length
    with Writer(path) as writer:
        opened = dataset.open_all(recipe.dataset)
        check_group(opened, recipe.data)
        for one in encoded(opened, encoder, recipe.data, tell):
            if counted(one, tally, survey) and isinstance(one.tokens, Tokens):
                writer.write(one.tokens.ids[:length], one.tokens.labels(length))
            else:
                left_out[one.row.part] += 1
    return left_out


class Chosen(NamedTuple):
    """What becomes of one usable row: which dataset it is of, whether it is held out, and how
    often it is trained; `copies` of 0 leave it out."""

    digest: bytes
    part: int
    held_out: bool
    copies: int


def _chosen(
    survey: Survey, verdict: Verdict, split: Split, weights: Sequence[float]
) -> Iterator[Chosen]:
    """For each usable row in its order."""
    parts, digests = survey.column("place")[:, 0], survey.column("made")
    place = -1
    for row in np.flatnonzero(verdict.usable).tolist():
        part = int(parts[row])
        held_out, copies = False, 0
        if verdict.kept[row]:
            place += 1
            held_out = bool(split.held_out[place])
            copies = 1 if held_out else split.copies(place, weights[part])
        yield Chosen(digests[row].tobytes(), part, held_out, copies)


def _divide(
    folder: Path,
    rows: Path,
    chosen: Iterator[Chosen],
    parts: list[PreparedPart],
    tell: Tell,
) -> Prepared:
    """The rows again, each to its file; rows of a weight other than one are drawn or repeated."""
    digest = hashlib.sha256()
    trained = longest = 0
    counts = [[0, 0, 0] for _ in parts]
    with Writer(folder / "train.arrow") as train, Writer(folder / "eval.arrow") as evaluation:
        for (key, part, held_out, copies), (ids, labels) in zip(chosen, _read(rows), strict=True):
            tell("Writing the data", None)
            digest.update(key + bytes([held_out, min(copies, 255)]))
            for _ in range(copies):
                (evaluation if held_out else train).write(ids, labels)
            longest = max(longest, len(ids) if copies else 0)
            counts[part][held_out] += copies
            if not held_out:
                counts[part][2] += copies * len(ids)
                trained += copies * sum(label >= 0 for label in labels)
    return Prepared(
        train_rows=train.rows,
        eval_rows=evaluation.rows,
        train_tokens=sum(one[2] for one in counts),
        trained_tokens=trained,
        max_tokens=longest,
        max_length=0,
        template="",
        digest=digest.hexdigest(),
        parts=tuple(
            msgspec.structs.replace(part, train_rows=in_train, eval_rows=aside, train_tokens=tokens)
            for part, (in_train, aside, tokens) in zip(parts, counts, strict=True)
        ),
    )


class Writer:
    """Rows into an Arrow IPC file, in batches, so that memory stays small."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._writer = pa.ipc.new_file(str(path), SCHEMA)
        self._ids: list[list[int]] = []
        self._labels: list[list[int]] = []

    def write(self, ids: list[int], labels: list[int]) -> None:
        self._ids.append(ids)
        self._labels.append(labels)
        self.rows += 1
        if len(self._ids) == 16 * BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._ids:
            self._writer.write_batch(pa.record_batch([self._ids, self._labels], schema=SCHEMA))
            self._ids, self._labels = [], []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()


def _read(path: Path) -> Iterator[tuple[list[int], list[int]]]:
    with pa.memory_map(str(path)) as mapped:
        reader = pa.ipc.open_file(mapped)
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            ids, labels = (column.to_pylist() for column in batch.columns)
            yield from zip(ids, labels, strict=True)


def _score_rows(recipe: Recipe) -> str:
    paths = [path for part in recipe.dataset if (path := datasets.score_rows(part))]
    return str(paths[0]) if paths else ""
