"""Every kind of data file, whole and broken in every way that people break files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.preparer.formats import read
from studio.preparer.records import Record
from studio.preparer.sources import files_of

ROWS = [{"question": "Où?", "answer": "Ici, “là”."}, {"question": "a,b", "answer": "line\nbreak"}]


def values(path: Path) -> list[dict[str, Any]]:
    records = list(read(path))
    assert [r.problem for r in records] == [""] * len(records)
    return [r.values for r in records]


def written(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_jsonl_in_every_encoding(tmp_path: Path, encoding: str, end: str) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + end for row in ROWS)
    assert values(written(tmp_path / "rows.jsonl", text, encoding)) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_in_every_encoding_with_windows_line_ends(tmp_path: Path, encoding: str) -> None:
    text = 'question,answer\r\nOù?,"Ici, “là”."\r\n"a,b","line\nbreak"\r\n'
    assert values(written(tmp_path / "rows.csv", text, encoding)) == ROWS


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t")])
def test_other_separators(tmp_path: Path, name: str, separator: str) -> None:
    text = f"prompt{separator}completion\nhi, you{separator}yes\n"
    path = written(tmp_path / name, text)
    assert values(path) == [{"prompt": "hi, you", "completion": "yes"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(ROWS)),
        ("a.json", json.dumps(ROWS, indent=2)),
        ("a.json", json.dumps({"version": 1, "data": ROWS})),
        ("a.json", "\n".join(map(json.dumps, ROWS))),
        ("a.jsonl", json.dumps(ROWS, indent=1)),
        ("a.ndjson", "\n\n".join(map(json.dumps, ROWS)) + "\n\n"),
        ("a.data", "\n".join(map(json.dumps, ROWS))),
    ],
)
def test_json_however_it_is_arranged(tmp_path: Path, name: str, content: str) -> None:
    assert values(written(tmp_path / name, content)) == ROWS


def test_parquet_with_nested_messages_even_under_another_name(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    path = tmp_path / "a.bin"
    pq.write_table(pa.table({"messages": [chat, chat]}), path)
    assert values(path) == [{"messages": chat}] * 2


def test_text_by_lines_or_by_paragraphs(tmp_path: Path) -> None:
    lines = list(read(written(tmp_path / "lines.txt", "\none\ntwo\n\n")))
    assert lines == [
        Record("lines.txt", 2, {"text": "one"}),
        Record("lines.txt", 3, {"text": "two"}),
    ]
    blocks = list(read(written(tmp_path / "blocks.txt", "one\ntwo\n\n\nthree\r\n")))
    assert blocks == [
        Record("blocks.txt", 1, {"text": "one\ntwo"}),
        Record("blocks.txt", 5, {"text": "three"}),
    ]


def test_broken_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = ['{"text": "good"}', '{"text": ', "", '"text"', "[1]", '{"text": "fine"}']
    records = list(read(written(tmp_path / "a.jsonl", "\n".join(lines))))
    assert [(r.row, bool(r.problem)) for r in records] == [
        (1, False), (2, True), (4, True), (5, True), (6, False),
    ]  # fmt: skip
    assert all(r.fix for r in records if r.problem)


def test_table_rows_of_another_width_are_named_by_their_first_line(tmp_path: Path) -> None:
    text = '\na,b\n1,"two\nlines"\n1,2,3\n\n4,5\n'
    records = list(read(written(tmp_path / "a.csv", text)))
    assert [(r.row, r.values, bool(r.problem)) for r in records] == [
        (3, {"a": "1", "b": "two\nlines"}, False),
        (5, {}, True),
        (7, {"a": "4", "b": "5"}, False),
    ]


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("a.jsonl", b"", "Dataset is empty"),
        ("a.jsonl", b" \n\n", "Dataset is empty"),
        ("a.txt", b"\r\n \r\n", "Dataset is empty"),
        ("a.json", b"[]", "Dataset is empty"),
        ("a.csv", b"\xef\xbb\xbf", "Dataset is empty"),
        ("a.jsonl", b"hello\nworld\n", "Not JSON"),
        ("a.json", b'[{"text": "a"}, {"text": "b"', "Not JSON"),
        ("a.json", b"42", "Not JSON"),
        ("a.json", b"[" * 100_000, "Not JSON"),
        ("a.csv", b"a,a\n1,2\n", "Table has no proper header"),
        ("a.csv", b",,\n1,2,3\n", "Table has no proper header"),
        ("a.csv", b"only,a,header\n", "Dataset is empty"),
        ("a.parquet", b"PAR1 and no more", "Parquet file is damaged"),
        ("a.parquet", b"not parquet", "Parquet file is damaged"),
        ("a.jsonl", b"\x1f\x8b\x08\x00\x00", "Packed file is damaged"),
        ("a.txt", b"\x00\x01\x02\x00\x00" * 9, "Not a text file"),
        ("a.jsonl", b"\xff\xfe{\x00\x00\xd8a\x00", "Not a text file"),
        ("picture.png", b"\x89PNG\r\n\x1a\n", "Unknown kind of file"),
    ],
)  # fmt: skip
def test_unusable_files_say_what_is_wrong_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, title: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(StudioError) as caught:
        list(read(path))
    assert caught.value.title == title
    assert caught.value.fix
    assert name in caught.value.text


def test_an_empty_parquet_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(StudioError, match="Dataset is empty"):
        list(read(tmp_path / "a.parquet"))


def test_a_folder_sets_files_for_evaluation_aside(tmp_path: Path) -> None:
    for name in ("train-0.jsonl", "sub/train-1.jsonl", "test.jsonl", ".hidden.jsonl", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, '{"text": "a"}')
    train, evaluation = files_of(tmp_path, DatasetPart(path="x"))
    assert {f.name for f in train} == {"train-0.jsonl", "sub/train-1.jsonl"}
    assert [f.name for f in evaluation] == ["test.jsonl"]
    only = files_of(tmp_path, DatasetPart(path="x", split="test"))
    assert [f.name for f in only.train] == ["test.jsonl"]
    assert only.evaluation == []
    with pytest.raises(StudioError, match="No such split"):
        files_of(tmp_path, DatasetPart(path="x", split="nowhere"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(rows=st.lists(st.dictionaries(st.text(), json_values, max_size=4), min_size=1, max_size=8))
def test_what_json_says_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("h") / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert values(path) == rows


@given(
    content=st.binary(max_size=300),
    name=st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.txt", "a.parquet", "a"]),
)
def test_no_bytes_make_the_reader_fail_without_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("h") / name
    path.write_bytes(content)
    try:
        records = list(read(path))
    except StudioError as error:
        said = error.fix
    else:
        said = records[0].file
    assert said
