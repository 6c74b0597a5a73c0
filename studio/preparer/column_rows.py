"""The rows of files that hold columns: Parquet and Arrow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from studio.core.errors import StudioError
from studio.preparer import packed
from studio.preparer.packed import DataFile
from studio.preparer.progress import Tell
from studio.preparer.records import Record, nothing_in, short

AT_ONCE = 512
AT_ONCE_BYTES = 16 << 20


def parquet(file: DataFile, tell: Tell, start: int = 0) -> Iterator[Record]:
    with (
        _told(file, "Parquet"),
        packed.on_disk(file) as path,
        pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as opened,
    ):
        about = opened.metadata
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        at_once = max(1, min(AT_ONCE, AT_ONCE_BYTES * about.num_rows // max(1, size)))
        ends = list(accumulate(about.row_group(i).num_rows for i in range(about.num_row_groups)))
        first = min(bisect_right(ends, start), len(ends))
        before = ends[first - 1] if first else 0
        groups = list(range(first, len(ends)))
        batches = opened.iter_batches(batch_size=at_once, row_groups=groups)
        yield from _records(file, batches, about.num_rows, tell, before, start)


def arrow(file: DataFile, tell: Tell, start: int = 0) -> Iterator[Record]:
    """Both kinds of Arrow file: with an index at its end, and the stream that `datasets` saves."""
    with _told(file, "Arrow"), packed.on_disk(file) as path, pa.memory_map(str(path)) as mapped:
        yield from _records(file, _slices(_batches(mapped)), 0, tell, 0, start)


def from_row(file: DataFile, start: int, tell: Tell) -> Iterator[Record]:
    """The rows of such a file from the `start`-th (from 0) on."""
    read = parquet if packed.head(file, 4) == b"PAR1" else arrow
    if start < count(file):
        yield from read(file, tell, start)


def count(file: DataFile) -> int:
    """How many rows such a file has; it isn't packed."""
    if packed.head(file, 4) == b"PAR1":
        with _told(file, "Parquet"):
            return int(pq.read_metadata(file.path).num_rows)
    with _told(file, "Arrow"), pa.memory_map(str(file.path)) as mapped:
        return sum(batch.num_rows for batch in _batches(mapped))


def _batches(mapped: Any) -> Iterator[Any]:
    start = mapped.read(6)
    mapped.seek(0)
    if start == b"ARROW1":
        reader = pa.ipc.open_file(mapped)
        return (reader.get_batch(index) for index in range(reader.num_record_batches))
    return iter(pa.ipc.open_stream(mapped))


def _slices(batches: Iterator[Any]) -> Iterator[Any]:
    """Pieces small enough to become Python objects; offsets are checked before anyone follows."""
    for batch in batches:
        batch.validate(full=True)
        at_once = AT_ONCE_BYTES * batch.num_rows // max(1, batch.nbytes)
        at_once = max(1, min(AT_ONCE, at_once))
        for start in range(0, batch.num_rows, at_once):
            yield batch.slice(start, at_once)


def _records(
    file: DataFile, batches: Iterator[Any], total: int, tell: Tell, row: int, start: int
) -> Iterator[Record]:
    """The rows from the `start`-th on, where `row` rows stand before the first batch."""
    for batch in batches:
        if row + batch.num_rows <= start:
            row += batch.num_rows
            continue
        skipped = max(0, start - row)
        batch, row = batch.slice(skipped), row + skipped
        tell(f"Reading {file.name}", row / total if total else None)
        names = batch.schema.names
        if len(set(names)) < len(names):
            raise StudioError(
                "Columns of one name",
                f"“{file.name}” has several columns of one name: {', '.join(names)[:80]}.",
                "Save it again with a name of its own for each column.",
            )
        columns = [_plain(column).to_pylist() for column in batch.columns]
        for place in range(batch.num_rows):
            row += 1
            values = {name: column[place] for name, column in zip(names, columns, strict=True)}
            yield Record(file.name, row, values)
    if not row:
        raise nothing_in(file.name)


def _plain(column: Any) -> Any:
    """Times and decimals as text: not all of them fit Python's own."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if (pa.types.is_temporal(kind) and not pa.types.is_duration(kind)) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.string())
    return column


@contextmanager
def _told(file: DataFile, kind: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, ValueError, TypeError, OverflowError, KeyError) as error:
        if isinstance(error, UnicodeError):
            why = "it holds text that is no UTF-8"
        else:
            why = short(error) or type(error).__name__
        raise StudioError(
            f"{kind} file is damaged",
            f"“{file.name}” can't be read: {why}.",
            "Download or save it again.",
        ) from error
