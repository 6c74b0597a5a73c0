"""Properties of the reader: rows survive every format, and no bytes make it fall."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from studio.core import preparing as wire
from studio.core.errors import StudioError
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer.formats import read
from studio.preparer.report import inspect
from studio.preparer.sources import files_of
from tests.preparer.corpus import arrow_file, arrow_stream, parquet
from tests.preparer.corpus_damage import CASES as DAMAGED
from tests.preparer.corpus_files import CASES as GOOD
from tests.preparer.corpus_files import zstd

Rows = list[dict[str, Any]]
Write = Callable[[Path, Rows], None]
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.lists(st.dictionaries(st.text(), values, max_size=4), min_size=1, max_size=8)
words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0"), max_size=20)
cells = words.map(lambda text: f"x{text}")
tables = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8).map(
    lambda rows: [dict(zip(("one", "two", "three"), row, strict=True)) for row in rows]
)


def as_lines(path: Path, rows: Rows) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def as_array(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows, indent=1), "utf-8")


def as_columns(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps({key: [row[key] for row in rows] for key in rows[0]}), "utf-8")


def separated(separator: str, **dialect: Any) -> Write:
    def write(path: Path, rows: Rows) -> None:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]), delimiter=separator, **dialect)
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(out.getvalue().encode())

    return write


def packed(pack: Callable[[bytes], bytes]) -> Write:
    def write(path: Path, rows: Rows) -> None:
        as_lines(path, rows)
        path.write_bytes(pack(path.read_bytes()))

    return write


def in_zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", content)
    return out.getvalue()


def of_rows(make: Callable[[Rows], Any]) -> Write:
    return lambda path, rows: make(rows)(path)


ANY_ROWS: dict[str, Write] = {
    "a.jsonl": as_lines,
    "a.json": as_array,
    "a.jsonl.gz": packed(gzip.compress),
    "a.jsonl.xz": packed(lzma.compress),
    "a.jsonl.bz2": packed(bz2.compress),
    "a.jsonl.zst": packed(zstd),
    "a.zip": packed(in_zip),
}
TABLES: dict[str, tuple[str, Write]] = {
    "comma": ("a.csv", separated(",")),
    "every cell quoted": ("a.csv", separated(",", quoting=csv.QUOTE_ALL)),
    "semicolon": ("a.csv", separated(";", quoting=csv.QUOTE_ALL)),
    "tab": ("a.tsv", separated("\t", quoting=csv.QUOTE_ALL)),
    "columns": ("a.json", as_columns),
    "parquet": ("a.parquet", of_rows(parquet)),
    "arrow file": ("a.arrow", of_rows(arrow_file)),
    "arrow stream": ("a.arrow", of_rows(arrow_stream)),
} | {name: (name, write) for name, write in ANY_ROWS.items()}


def read_back(path: Path) -> Rows:
    (file,) = files_of(path, DatasetPart(path=str(path))).train
    records = list(read(file))
    assert [record.problem for record in records] == [""] * len(records)
    return [record.values for record in records]


@pytest.mark.parametrize("name", ANY_ROWS)
@relaxed
@given(rows=objects)
def test_any_rows_come_back_from_every_make_of_json(tmp_path: Path, name: str, rows: Rows) -> None:
    ANY_ROWS[name](tmp_path / name, rows)
    assert read_back(tmp_path / name) == rows


@pytest.mark.parametrize("kind", TABLES)
@relaxed
@given(rows=tables)
def test_tables_come_back_from_every_format(tmp_path: Path, kind: str, rows: Rows) -> None:
    name, write = TABLES[kind]
    write(tmp_path / name, rows)
    assert read_back(tmp_path / name) == rows


def told(path: Path) -> bool:
    """Whether the studio says of a file how many rows it has, or why not and what to do."""
    try:
        report = inspect((DatasetPart(path=str(path)),), None, DataPart())
    except StudioError as error:
        return (
            bool(wire.encode(error.text)) and error.text.endswith(".") and error.fix.endswith(".")
        )
    assert wire.plain(report)
    return bool(report.problems or report.usable_rows) and math.isfinite(report.confidence)


names = st.sampled_from(
    ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.md", "a.parquet", "a.arrow", "a.zip", "a"]
)
magics = st.sampled_from(
    [b"", b"", b"[", b"{", b'[{"a":', b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff", b"PK\x03\x04",
     b"\x1f\x8b\x08\0", b"BZh9", b"\xfd7zXZ\0", b"(\xb5/\xfd", b"\xff\xfe", b"\xef\xbb\xbf",
     b'"a","b"\n"']
)  # fmt: skip


@settings(relaxed, max_examples=400)
@given(start=magics, content=st.binary(max_size=300), name=names)
@example(start=b"[", content=b'{"a": ' + b"[" * 50_000, name="a.json")
@example(start=b"", content=b'a,b\n"' + b"x,\n" * 2000, name="a.csv")
def test_no_bytes_make_the_reader_fail_without_a_sentence(
    tmp_path: Path, start: bytes, content: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(start + content)
    assert told(path)


FILES = [case for case in (*GOOD, *DAMAGED) if len(case.files) == 1 and "bomb" not in case.name]


@settings(relaxed, max_examples=400)
@given(data=st.data())
def test_no_damage_to_a_good_file_makes_the_reader_fail_without_a_sentence(
    tmp_path: Path, data: st.DataObject
) -> None:
    case = data.draw(st.sampled_from(FILES))
    path = case.write(tmp_path)
    content = bytearray(path.read_bytes()[:5000])
    for _ in range(data.draw(st.integers(1, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert told(path)


def test_arrow_tables_of_every_type_are_read(tmp_path: Path) -> None:
    kinds = {
        "stamp": pa.array([2**62, None], pa.timestamp("us", "Europe/Berlin")),
        "day": pa.array([-(2**30), 0], pa.date32()),
        "price": pa.array([None, 1], pa.decimal128(38, 2)),
        "bytes": pa.array([b"\xff", None], pa.large_binary()),
        "text": pa.array(["What is said.", "Yes, it is."], pa.large_string()),
        "word": pa.array(["a", "b"]).dictionary_encode(),
        "pairs": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8())),
        "nothing": pa.nulls(2),
        "half": pa.array([1.5, None], pa.float16()),
    }
    table = pa.table(kinds)
    for name, write in (("a.arrow", arrow_of), ("a.parquet", parquet_of)):
        write(tmp_path / name, table)
        records = list(read(tmp_path / name))
        assert [record.values["text"] for record in records] == kinds["text"].to_pylist()
        assert records[0].values["stamp"] is not None


def arrow_of(path: Path, table: Any) -> None:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def parquet_of(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table.drop_columns(["half"]), path)
