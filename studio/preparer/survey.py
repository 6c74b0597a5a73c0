"""What is kept of every row until all are read: some 320 bytes each, never the row itself."""

from __future__ import annotations

from enum import IntFlag
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from studio.core.findings import NAMED_ROWS, RowRef
from studio.preparer import checks, contact, languages
from studio.preparer.dataset import Row
from studio.preparer.messages import BadRow, Passed, Sample
from studio.preparer.repairs import has_blanks, texts_of
from studio.preparer.spoken import Spoken, spoken
from studio.preparer.tokens import Tokens
from studio.preparer.twins import Sketches
from studio.preparer.words import Batch, Column

BATCH = 256
DIMENSIONS = 64
CONTACT = tuple(form.name for form in contact.FORMS)
_CHARACTERS = 1 << 20


class Mark(IntFlag):
    """What is true of a row by itself."""

    USABLE = 1
    EVALUATION = 2
    LONG = 4
    CUT = 8
    CUT_WHOLE = 16
    ECHO = 32
    BLANKS = 64


class _Kept(NamedTuple):
    place: tuple[int, int, int]
    marks: int
    contact: int
    content: bytes
    made: bytes
    group: int
    tokens: int
    said: Spoken


class Survey:
    """Takes rows one by one; has then a value in each column for each row that could be read."""

    def __init__(self, max_length: int) -> None:
        self._length = max_length
        self._kept: list[_Kept] = []
        self._characters = 0
        self._numbers: dict[str, int] = {}
        self._columns = {
            "place": Column(np.uint32, 3),
            "marks": Column(np.uint8),
            "contact": Column(np.uint8),
            "content": Column(np.uint64, 2),
            "made": Column(np.uint64, 2),
            "group": Column(np.uint64),
            "tokens": Column(np.uint32),
            "words": Column(np.uint32),
            "answer": Column(np.int32),
            "language": Column(np.int8),
            "vector": Column(np.int8, DIMENSIONS),
        }
        self.sketches = Sketches()
        self.rows = 0
        self.bad: dict[str, list[RowRef]] = {"empty": [], "unusable": []}
        self.bad_counts = dict.fromkeys(self.bad, 0)

    def unusable(self, row: Row, why: BadRow) -> None:
        """A row of which there is nothing to learn."""
        self.rows += 1
        if isinstance(why, Passed):
            return
        empty = "empty" in why.why or "nothing in" in why.why
        key = "empty" if empty else "unusable"
        self.bad_counts[key] += 1
        if len(self.bad[key]) < NAMED_ROWS:
            note = why.why.split("\n")[0][:200]
            self.bad[key].append(RowRef(part=row.part, file=row.file, row=row.row, note=note))

    def add(self, row: Row, sample: Sample, tokens: Tokens | None, digest: bytes) -> None:
        """A row that can be read: as it stands in `row`, and mended. `digest` stands for what is
        learnt of it, and is empty where the cut leaves nothing."""
        self.rows += 1
        assert isinstance(row.content, Sample)
        said, content = spoken(sample), _digest(sample)
        marks = _marks(row, tokens, self._length) | Mark.ECHO * said.echo
        self._kept.append(
            _Kept(
                (row.part, self._numbers.setdefault(row.file, len(self._numbers)), row.row),
                marks | Mark.USABLE * bool(digest) | Mark.BLANKS * has_blanks(row.content),
                _contact(row.content),
                content,
                digest or content,
                row.group,
                len(tokens.ids) if tokens else 0,
                said,
            )
        )
        self._characters += len(said.text)
        if len(self._kept) == BATCH or self._characters > _CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Take in what waits; to be called before columns are read."""
        kept, self._kept, self._characters = self._kept, [], 0
        if not kept:
            return
        batch = Batch([one.said.words for one in kept])
        self.sketches.add(batch)
        add = {name: column.add for name, column in self._columns.items()}
        for name in ("place", "marks", "contact", "group", "tokens"):
            add[name](np.array([getattr(one, name) for one in kept], np.uint64))
        for name in ("content", "made"):
            digests = b"".join(getattr(one, name) for one in kept)
            add[name](np.frombuffer(digests, "<u8").reshape(-1, 2))
        add["words"](batch.counts)
        add["answer"](np.array([one.said.answer for one in kept]))
        add["language"](languages.of_rows([one.said.text for one in kept], batch))
        add["vector"](_vectors(batch))

    def __len__(self) -> int:
        return len(self._columns["marks"])

    def column(self, name: str) -> npt.NDArray[Any]:
        """The values of one column, one for each row."""
        return self._columns[name].values

    def marked(self, mark: Mark) -> npt.NDArray[np.bool_]:
        """Which rows have a mark."""
        return np.asarray((self._columns["marks"].values & np.uint8(mark)) != 0)

    def ref(self, row: int, note: str = "") -> RowRef:
        """Where a row is, by its place among those that could be read."""
        part, file, number = self._columns["place"].values[row].tolist()
        return RowRef(part=part, file=list(self._numbers)[file], row=number, note=note)


def _marks(row: Row, tokens: Tokens | None, length: int) -> int:
    marks: int = Mark.EVALUATION * row.evaluation
    if tokens is not None:
        lost = checks.cut(tokens, length)
        marks |= Mark.LONG * (len(tokens.ids) > length)
        marks |= Mark.CUT * bool(lost) | Mark.CUT_WHOLE * (lost in ("whole", "all"))
    return marks


def _contact(sample: Sample) -> int:
    kinds = {name for name, _, _ in contact.found("\n\n".join(texts_of(sample)))}
    return sum(1 << CONTACT.index(name) for name in kinds)


def _digest(sample: Sample) -> bytes:
    return blake2b(msgspec.msgpack.encode(sample), digest_size=16).digest()


def _vectors(batch: Batch) -> npt.NDArray[np.int8]:
    """The words of each row, hashed to DIMENSIONS with signs: alike for rows of like words."""
    vectors = np.zeros((batch.rows, DIMENSIONS), np.float32)
    signs = np.where(batch.numbers & np.uint32(64), 1, -1).astype(np.float32)
    np.add.at(vectors, (batch.row, batch.numbers % DIMENSIONS), signs)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled = 127 * vectors / np.maximum(lengths, 1)
    return np.asarray(np.rint(scaled), np.int8)
