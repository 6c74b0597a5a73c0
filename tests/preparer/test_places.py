"""Rows from the middle of a file: the same as when everything is read, without doing so again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import dataset, formats, lens, places
from studio.preparer.packed import DataFile
from studio.preparer.progress import silent

ROWS = 300
VALUES = [{"prompt": f"What is {i}?", "completion": f"é {i}\r\nor so"} for i in range(ROWS)]
LINES = [json.dumps(one, ensure_ascii=False) for one in VALUES]
PARTS = 37


def csv() -> bytes:
    quoted = (f'"{one["prompt"]}","{one["completion"]}"' for one in VALUES)
    return "\n".join(["prompt,completion", *quoted]).encode()


def columns(path: Path, kind: str) -> None:
    table = pa.Table.from_pylist(VALUES)
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=PARTS)
    elif kind == "arrow":
        pyarrow.feather.write_feather(table, str(path), "uncompressed", chunksize=PARTS)
    else:
        with pa.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table, max_chunksize=PARTS)


TEXTS = {
    "a.jsonl": "\n".join(LINES).encode(),
    "windows.jsonl": b"\xef\xbb\xbf" + "\r\n".join(LINES).encode() + b"\r\n\r\n",
    "gaps.jsonl": "\n \n\n".join(LINES).encode(),
    "western.jsonl": "\n".join(LINES).encode("cp1252"),
    "wide.jsonl": "\n".join(LINES).encode("utf-16"),
    "broken.jsonl": "\n".join([*LINES[:150], "{", *LINES[150:]]).encode() + b"\n\xff{",
    "mac.jsonl": "\r".join(LINES).encode(),
    "mixed.jsonl": "\n".join(LINES[:200]).encode() + b"\n" + "\r".join(LINES[200:]).encode(),
    "a.json": json.dumps(VALUES).encode(),
    "a.csv": csv(),
    "a.txt": "\n\n".join(f"Paragraph {i}\nand more" for i in range(ROWS)).encode(),
    "a.jsonl.gz": gzip.compress("\n".join(LINES).encode()),
}


@pytest.fixture(params=[*TEXTS, "parquet", "arrow", "stream"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> DataFile:
    name = str(request.param)
    path = tmp_path / (name if name in TEXTS else f"a.{name.replace('stream', 'arrow')}")
    if name in TEXTS:
        path.write_bytes(TEXTS[name])
    else:
        columns(path, name)
    return DataFile(path)


@pytest.mark.parametrize("start", [250, 0, 1, 63, 64, 65, 111, 299, 300, 1000])
def test_any_row_is_what_reading_everything_gives(file: DataFile, start: int) -> None:
    every = list(formats.read(file))
    assert list(places.records(file, start)) == every[start:]
    assert list(places.records(file, 5))[:3] == every[5:8]
    assert places.count(file, 10**9) == len(every)
    assert places.count(file, 7) == 7
    for record in every[start : start + 3]:
        assert places.numbered(file, record.row) == record
    assert places.numbered(file, 10**6) is None


def test_two_readers_of_one_file_do_not_disturb_each_other(file: DataFile) -> None:
    every = list(formats.read(file))
    one, two = places.records(file, 10), places.records(file, 200)
    for place in range(90):
        assert (next(one), next(two)) == (every[10 + place], every[200 + place])


def test_nothing_is_read_again(file: DataFile, monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(formats.read(file))
    assert list(places.records(file, 299)) == every[299:]
    read: list[DataFile] = []
    monkeypatch.setattr(formats, "read", lambda one, tell: read.append(one))
    for start in (298, 0, 150):
        assert next(places.records(file, start)) == every[start]
    assert read == []


def test_an_edited_file_is_read_anew(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv"):
        file = DataFile(tmp_path / name)
        file.path.write_bytes(TEXTS[name])
        assert next(places.records(file, 200)).values["prompt"] == "What is 200?"
        file.path.write_bytes(TEXTS[name].replace(b"What", b"Who "))
        assert next(places.records(file, 200)).values["prompt"] == "Who  is 200?"


def test_after_a_cancel_it_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_TOLD", 10)

    def cancel(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("a.jsonl", "a.csv"):
        file = DataFile(tmp_path / name)
        file.path.write_bytes(TEXTS[name])
        with pytest.raises(KeyboardInterrupt):
            places.count(file, 10**9, cancel)
        assert places.count(file, 10**9) == ROWS


def test_the_lens_finds_rows_in_several_files(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for place, name in enumerate("abc"):
        rows = (json.dumps({"prompt": "hi", "completion": f"{name}{i}"}) for i in range(90))
        (folder / f"{name}.jsonl").write_text("\n".join(list(rows)[place:]), encoding="utf-8")
    part = DatasetPart(path=str(folder))

    def shown(*parts: DatasetPart, **asked: int) -> list[str]:
        found = lens.examples(parts, tiny_model, DataPart(), **asked)  # type: ignore[arg-type]
        return ["".join(piece.text for piece in one.pieces).split("\n")[-2] for one in found]

    opened = dataset.open_all([part])
    every = [row.content for row in dataset.rows(opened, silent)]
    assert len(every) == 267
    assert shown(part, start=88, count=3) == ["a88<|im_end|>", "a89<|im_end|>", "b1<|im_end|>"]
    assert shown(part, part, start=266, count=2) == ["c89<|im_end|>", "a0<|im_end|>"]
    assert shown(part, start=267) == []
    limited = DatasetPart(path=str(folder), limit=5)
    assert len(shown(limited, start=1, count=9)) == 4
    (row,) = lens.examples([part], tiny_model, DataPart(), rows=[90])
    assert row.row == 90


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    places._remembered.clear()
