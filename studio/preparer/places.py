"""Rows of files by their place, without reading what stands before them each time.

What is remembered of a file is dropped as soon as the system says that it is another. Lines of
JSON and columns are read where they lie; rows of other files are written to a temporary file while
they are read for the first time.
"""

from __future__ import annotations

import io
import itertools
import pickle
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from studio.preparer import column_rows, digests, encodings, formats, json_rows
from studio.preparer.digests import Identity
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell, Throttled, silent
from studio.preparer.records import LONGEST_ROW, Record

STEP = 64
"""Rows from one remembered place to the next."""
_FILES = 4
_PLAIN = ("utf-8-sig", "cp1252", "latin-1")
_TOLD = 4096
T = TypeVar("T")


def records(file: DataFile, start: int, tell: Tell = silent) -> Iterator[Record]:
    """The rows from the `start`-th (from 0) on; raises StudioError as formats.read."""
    return _asked(file, tell, lambda known: known.from_place(start))


def count(file: DataFile, most: int, tell: Tell = silent) -> int:
    """How many rows there are, or `most` where there are more."""
    return _asked(file, tell, lambda known: known.count(most))


def numbered(file: DataFile, row: int, tell: Tell = silent) -> Record | None:
    """The row that starts at a line, or has that number in files without lines."""
    near = _asked(file, tell, lambda known: known.from_place(known.place_before(row)))
    for record in near:
        if record.row >= row:
            return record if record.row == row else None
    return None


class _Places(Protocol):
    """What is remembered of one file."""

    tell: Tell

    def count(self, most: int) -> int: ...
    def from_place(self, place: int) -> Iterator[Record]: ...
    def place_before(self, row: int) -> int:
        """A place, not far before the row of this number."""


_remembered: dict[DataFile, tuple[Identity, _Places]] = {}


def _asked(file: DataFile, tell: Tell, ask: Callable[[_Places], T]) -> T:
    try:
        return ask(_known(file, tell))
    except _Odd:
        _remembered[file] = digests.identity(file.path), _Copied(file)
        return ask(_known(file, tell))


@contextmanager
def _forgotten_if_broken_off(file: DataFile) -> Iterator[None]:
    """A reader that raised, as when it is cancelled, can't go on."""
    try:
        yield
    except BaseException:
        _remembered.pop(file, None)
        raise


def _known(file: DataFile, tell: Tell) -> _Places:
    try:
        now = digests.identity(file.path)
    except OSError as error:
        raise formats.unreadable(file, error) from error
    before, known = _remembered.pop(file, (None, None))
    if known is None or before != now:
        known = _places(file)
    known.tell = Throttled(tell)
    _remembered[file] = now, known
    while len(_remembered) > _FILES:
        del _remembered[next(iter(_remembered))]
    return known


def _places(file: DataFile) -> _Places:
    about = formats.about(file)
    if not about.packing and about.kind in ("parquet", "arrow"):
        return _Columns(file)
    if not about.packing and about.kind == "jsonl":
        encoding = encodings.of_file(file)
        if encoding.codec in _PLAIN:
            return _Lines(file)
    return _Copied(file)


class _Columns:
    """Files that are made to be read from anywhere."""

    def __init__(self, file: DataFile) -> None:
        self.tell: Tell = silent
        self._file = file
        self._rows = column_rows.count(file)

    def count(self, most: int) -> int:
        return min(most, self._rows)

    def from_place(self, place: int) -> Iterator[Record]:
        return column_rows.from_row(self._file, place, self.tell)

    def place_before(self, row: int) -> int:
        return max(0, row - 1)


class _Marks:
    """Of every STEP-th row where it begins and its number."""

    def __init__(self) -> None:
        self.rows = 0
        self._at, self._numbers = array("q"), array("q")

    def add(self, at: int, number: int) -> None:
        if self.rows % STEP == 0:
            self._at.append(at)
            self._numbers.append(number)
        self.rows += 1

    def before(self, place: int) -> tuple[int, int, int]:
        """The last mark up to a place: where, the row's number, and rows from it to the place."""
        mark, behind = divmod(place, STEP)
        return self._at[mark], self._numbers[mark], behind

    def place_before(self, number: int) -> int:
        return max(0, bisect_right(self._numbers, number) - 1) * STEP

    @property
    def last_number(self) -> int:
        return self._numbers[-1] if self._numbers else 0


class _Lines:
    """JSON Lines: where lines begin is found without reading what they say."""

    def __init__(self, file: DataFile) -> None:
        self.tell: Tell = silent
        self._source = file
        self._marks = _Marks()
        self._scan = self._scanned()
        self._whole = False

    def count(self, most: int) -> int:
        self._until(most)
        return min(most, self._marks.rows)

    def from_place(self, place: int) -> Iterator[Record]:
        if self.count(place + 1) <= place:
            return iter(())
        at, number, behind = self._marks.before(place)
        return itertools.islice(json_rows.lines_from(self._source, at, number), behind, None)

    def place_before(self, row: int) -> int:
        while not self._whole and self._marks.last_number <= row:
            self._until(self._marks.rows + STEP)
        return self._marks.place_before(row)

    def _until(self, rows: int) -> None:
        with _forgotten_if_broken_off(self._source):
            while not self._whole and self._marks.rows < rows:
                self._whole = next(self._scan, None) is None

    def _scanned(self) -> Iterator[int]:
        """Takes note of a row at each step."""
        at, size = 0, max(1, self._source.path.stat().st_size)
        with self._source.path.open("rb", buffering=1 << 20) as file:
            for number, line in enumerate(file, 1):
                if number % _TOLD == 0:
                    self.tell(f"Looking through {self._source.name}", min(1.0, at / size))
                if _is_odd(line):
                    raise _Odd
                if line.strip(b" \t\r\n") not in (b"", b"\xef\xbb\xbf"):
                    self._marks.add(at, number)
                    yield number
                at += len(line)


class _Copied:
    """The rows of any file, in a temporary file as far as they have been read."""

    def __init__(self, file: DataFile) -> None:
        self.tell: Tell = silent
        self._marks = _Marks()
        self._source = file
        self._file = tempfile.TemporaryFile(prefix="studio-rows-")  # noqa: SIM115
        self._end = 0
        self._read = formats.read(file, lambda text, share: self.tell(text, share))
        self._whole = False

    def __del__(self) -> None:
        self._file.close()

    def count(self, most: int) -> int:
        while not self._whole and self._marks.rows < most:
            self._take()
        return min(most, self._marks.rows)

    def from_place(self, place: int) -> Iterator[Record]:
        if self.count(place + 1) <= place:
            return
        at, _, behind = self._marks.before(place)
        for later in itertools.count(place - behind):
            if self.count(later + 1) <= later:
                return
            self._file.seek(at)
            record: Record = pickle.load(self._file)
            at = self._file.tell()
            if later >= place:
                yield record

    def place_before(self, row: int) -> int:
        while not self._whole and self._marks.last_number <= row:
            self._take()
        return self._marks.place_before(row)

    def _take(self) -> None:
        with _forgotten_if_broken_off(self._source):
            record = next(self._read, None)
        if record is None:
            self._whole = True
            return
        content = io.BytesIO()
        pickle.dump(record, content, pickle.HIGHEST_PROTOCOL)
        self._file.seek(self._end)
        self._file.write(content.getbuffer())
        self._marks.add(self._end, record.row)
        self._end += content.tell()


def _is_odd(line: bytes) -> bool:
    """Whether a carriage return alone ends a line within, or it is too long to be a row."""
    ends = line.endswith((b"\n", b"\r"))
    return len(line) >= LONGEST_ROW or line.find(b"\r", 0, -2 if ends else None) >= 0


class _Odd(Exception):
    """Lines of a file end in a way that only reading it tells."""
