"""The rows of tables: CSV, TSV and parquet."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from studio.core.errors import StudioError
from studio.preparer.progress import Tell
from studio.preparer.records import Record, nothing_in, opened, short

csv.field_size_limit(2**31 - 1)


def delimited(path: Path, tell: Tell) -> Iterator[Record]:
    with opened(path, tell, newline="") as lines:
        skipped, header_line = next((n, line) for n, line in enumerate(lines) if line.strip())
        delimiter = "\t" if path.suffix.casefold() == ".tsv" else _delimiter(header_line)
        rows = csv.reader(itertools.chain([header_line], lines), delimiter=delimiter)
        header = [name.strip() for name in next(rows)]
        _check_header(path, header)
        last = rows.line_num
        try:
            for fields in rows:
                first, last = last + 1, rows.line_num
                if fields and any(fields):
                    yield _table_record(path, first + skipped, header, fields)
        except csv.Error as error:
            raise StudioError(
                "Table is damaged",
                f"“{path.name}” can't be read beyond line {rows.line_num + skipped}: {error}.",
                "Save the table again as CSV in UTF-8.",
            ) from error


def _table_record(path: Path, row: int, header: list[str], fields: list[str]) -> Record:
    if len(fields) != len(header):
        why = f"has {len(fields)} fields where the header names {len(header)}"
        return Record(path.name, row, problem=why, fix="Quote fields that contain the separator.")
    return Record(path.name, row, dict(zip(header, fields, strict=True)))


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _check_header(path: Path, header: list[str]) -> None:
    if len(set(header)) != len(header) or not all(header):
        raise StudioError(
            "Table has no proper header",
            f"The first line of “{path.name}” must name every column once; it reads "
            f"“{', '.join(header)[:80]}”.",
            "Give the table a first line with the names of its columns.",
        )


def parquet(path: Path, tell: Tell) -> Iterator[Record]:
    try:
        with pq.ParquetFile(path) as file:
            total, row = file.metadata.num_rows, 0
            if not total:
                raise nothing_in(path)
            for batch in file.iter_batches(batch_size=512):
                tell(f"Reading {path.name}", row / total)
                for values in batch.to_pylist():
                    row += 1
                    yield Record(path.name, row, values)
    except pa.ArrowException as error:
        raise StudioError(
            "Parquet file is damaged",
            f"“{path.name}” can't be read: {short(error)}.",
            "Download or save it again.",
        ) from error
