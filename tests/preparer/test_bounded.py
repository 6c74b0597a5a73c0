"""Memory while reading large files stays far below their size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 40_000
ROW = {"prompt": "What is asked?", "completion": "said " * 400}
CEILING = 70 << 20
"""Bytes that reading may add; the files have about 80 MB."""

SCRIPT = """
import sys, psutil
from pathlib import Path
from studio.core.recipe import DatasetPart
from studio.preparer.formats import read
from studio.preparer.sources import files_of
path = Path(sys.argv[1])
own = psutil.Process()
(file,) = files_of(path, DatasetPart(path=str(path))).train
records = read(file)
next(records)
before = peak = own.memory_info().rss
for number, record in enumerate(records, 2):
    if number % 1000 == 0:
        peak = max(peak, own.memory_info().rss)
print(number, peak - before)
"""


def pieces(opening: str, between: str, closing: str) -> Iterator[str]:
    row = json.dumps(ROW)
    yield opening + row
    for _ in range(ROWS - 1):
        yield between + row
    yield closing


def as_array(path: Path) -> None:
    path.write_text("".join(pieces("[", ",", "]")), "utf-8")


def as_rows_in_an_object(path: Path) -> None:
    path.write_text("".join(pieces('{"version": 1, "data": [', ", ", "]}")), "utf-8")


def as_lines(path: Path) -> None:
    path.write_text("".join(pieces("", "\n", "\n")), "utf-8")


def as_paragraphs(path: Path) -> None:
    path.write_text("".join(pieces("", "\n\n", "\n")), "utf-8")


def as_parquet(path: Path) -> None:
    table = pa.Table.from_pylist([ROW]).take(pa.array([0] * ROWS))
    pq.write_table(table, path, use_dictionary=False, compression=None)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.json", as_array),
        ("object.json", as_rows_in_an_object),
        ("a.jsonl", as_lines),
        ("a.txt", as_paragraphs),
        ("a.parquet", as_parquet),
    ],
)
def test_reading_keeps_little_in_memory(tmp_path: Path, name: str, write: object) -> None:
    path = tmp_path / name
    write(path)  # type: ignore[operator]
    assert path.stat().st_size > CEILING
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == ROWS
    assert grown < CEILING
