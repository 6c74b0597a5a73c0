"""The rows of files that hold columns: Parquet and Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


def parquet(file: DataFile, tell: Tell) -> Iterator[Record]:
    with (
        _told(file, "Parquet"),
        packed.on_disk(file) as path,
        pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16) as opened,
    ):
        about = opened.metadata
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        at_once = max(1, min(AT_ONCE, AT_ONCE_BYTES * about.num_rows // max(1, size)))
        batches = opened.iter_batches(batch_size=at_once)
        yield from _records(file, batches, about.num_rows, tell)


def arrow(file: DataFile, tell: Tell) -> Iterator[Record]:
    """Both kinds of Arrow file: with an index at its end, and the stream that `datasets` saves."""
    with _told(file, "Arrow"), packed.on_disk(file) as path, pa.memory_map(str(path)) as mapped:
        start = mapped.read(6)
        mapped.seek(0)
        if start == b"ARROW1":
            reader = pa.ipc.open_file(mapped)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(mapped))
        yield from _records(file, _slices(batches), 0, tell)


def _slices(batches: Iterator[Any]) -> Iterator[Any]:
    """Pieces small enough to become Python objects; offsets are checked before anyone follows."""
    for batch in batches:
        batch.validate(full=True)
        at_once = AT_ONCE_BYTES * batch.num_rows // max(1, batch.nbytes)
        at_once = max(1, min(AT_ONCE, at_once))
        for start in range(0, batch.num_rows, at_once):
            yield batch.slice(start, at_once)


def _records(file: DataFile, batches: Iterator[Any], total: int, tell: Tell) -> Iterator[Record]:
    row = 0
    for batch in batches:
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
