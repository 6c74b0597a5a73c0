"""The corpus' defects: read all the same, named with the line they are in, or refused with why."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile

from tests.preparer.corpus import CHAT, PAIR, A, Case, Q, good, jsonl, parquet, refused, within
from tests.preparer.corpus_files import ARRAY, CSV, LINES, TWO, zipped, zstd

DEEP = "[" * 100_000
LARGE = {"prompt": Q, "completion": "ä" * 10_000_000}


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        about = tarfile.TarInfo("rows.jsonl")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return out.getvalue()


def locked(content: bytes) -> bytes:
    """A zip archive whose header says that it has a password."""
    packed = bytearray(zipped(rows_jsonl=content))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(mark) + place] |= 1
    return bytes(packed)


ROWS = [
    good("a torn line", "rows.jsonl", jsonl(PAIR, '{"prompt": "a", "compl', PAIR), rows=3,
         bad=(2,), said="Row 2 is not valid JSON (Unterminated string"),
    good("a torn last line", "rows.jsonl", LINES + b'{"prompt": "a', rows=3, bad=(3,)),
    good("lines that are no objects", "rows.jsonl", jsonl(PAIR, '"text"', "17", "[1, 2]", "null"),
         rows=5, bad=(2, 3, 4, 5)),
    good("a line nested too deeply", "rows.jsonl", jsonl(PAIR, '{"prompt": ' + DEEP, PAIR), rows=3,
         bad=(2,)),
    good("single quotes in JSON", "rows.jsonl", jsonl(PAIR, PAIR, "{'prompt': 'a'}"), rows=3,
         bad=(3,)),
    good("a field named twice", "rows.jsonl", jsonl(
        '{"prompt": "a", "prompt": "b c", "completion": "d"}', PAIR), first=("b c", "d"),
        said="Row 1 names a field twice"),
    good("trailing commas in lines", "rows.jsonl", jsonl(
        '{"prompt": "a, ]", "completion": "b, }",}', PAIR), first=("a, ]", "b, }"),
        said="Row 1 has comments or trailing commas"),
    good("comments in lines", "rows.jsonl", jsonl(
        "// two rows", '{"prompt": "see http://a", /* here */ "completion": "b"}', PAIR), rows=3,
        bad=(1,), first=("see http://a", "b")),
    good("trailing commas in a list", "rows.json",
         b'[{"prompt": "a", "completion": "b",},\n{"prompt": "c", "completion": "d"},\n]',
         first=("a", "b")),
    good("comments in a list", "rows.json",
         b'// rows\n[\n{"prompt": "a", // asked\n"completion": "b"},\n/* more */\n'
         b'{"prompt": "c", "completion": "d"}]', first=("a", "b")),
    good("a row of ten megabytes", "rows.jsonl", jsonl(PAIR, LARGE, PAIR), rows=3),
    good("a row of ten megabytes in a list", "rows.json", json.dumps([PAIR, LARGE]).encode()),
    good("a cell of ten megabytes", "rows.csv", (CSV + f"a,{'x' * 10_000_000}\n").encode(), rows=3),
    good("mixed types", "rows.jsonl", jsonl(
        PAIR, {**PAIR, "completion": None}, {**PAIR, "completion": 3.5},
        {**PAIR, "completion": {"a": 1}}, {"prompt": Q}, {**PAIR, "completion": True},
        PAIR, PAIR), rows=8, bad=(2, 4, 5, 6)),
    good("broken bytes in a line", "rows.jsonl", jsonl(PAIR, PAIR) + LINES.splitlines()[0].replace(
        b"asked", b"ask\xff") + b"\n", rows=3, bad=(3,), said="bytes that are no UTF-8"),
    good("half a character", "rows.jsonl", jsonl(PAIR, '{"prompt": "\\ud83d", "completion": "b"}'),
         bad=(2,)),
    good("rows without an answer", "rows.jsonl", jsonl(
        {"messages": CHAT}, {"messages": CHAT[:1]}, {"messages": []},
        {"messages": [CHAT[0], {"role": "assistant", "content": " "}]},
        {"messages": [{"role": "narrator", "content": "x"}, CHAT[1]]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, CHAT[1]]}),
        shape="chat messages", rows=6, bad=(2, 3, 4, 5, 6)),
    good("a function call that is no JSON", "rows.jsonl", jsonl(
        {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
        {"conversations": [{"from": "human", "value": Q}, {"from": "function_call", "value": "x"}]},
    ), shape="ShareGPT", bad=(2,)),
    good("cells too many and too few", "rows.csv", (CSV + "a,b,c\nd\n").encode(), rows=4,
         bad=(4, 5), said="has 3 fields where the header names 2"),
    good("a quote never closed", "rows.csv", (CSV + 'a,"b\nc,d\n').encode(), rows=3, bad=(4,),
         said="a quote that is never closed"),
    good("empty cells", "rows.csv", (CSV + "a,\n").encode(), rows=3, bad=(4,)),
    good("nothing in a column", "rows.parquet", parquet([*TWO, {"prompt": Q, "completion": None}]),
         rows=3, bad=(3,)),
    good("more broken than sound", "rows.jsonl", jsonl(PAIR, "{", "{"), rows=3, bad=(2, 3),
         said="2 of 3 rows can't be used"),
]  # fmt: skip

REFUSED = [
    refused("an empty file", "rows.jsonl", b"", "Dataset is empty"),
    refused("nothing but blanks", "rows.jsonl", b" \n\r\n\t\n", "Dataset is empty"),
    refused("nothing but a mark", "rows.csv", b"\xef\xbb\xbf", "Dataset is empty"),
    refused("an empty list", "rows.json", b"[]", "Dataset is empty"),
    refused("a header alone", "rows.csv", b"prompt,completion\n", "Dataset is empty"),
    refused("Parquet without rows", "rows.parquet", parquet(()),
            "Dataset is empty"),
    refused("a list cut short", "rows.json", ARRAY[:-3], "Not JSON", said="Line 1"),
    refused("an error in a list", "rows.json", json.dumps(TWO, indent=1).encode().replace(
        b'"prompt": "What is asked?"', b'"prompt": What', 1), "Not JSON",
        said="Line 3, column 13: Expecting value"),
    refused("a comma missing in a list", "rows.json", b'[{"text": "a"}\n{"text": "b"}]',
            "Not JSON", said="Line 2"),
    refused("prose for JSON", "rows.jsonl", b"hello\nworld\n", "Not JSON"),
    refused("a number for JSON", "rows.json", b"42", "Not JSON"),
    refused("brackets without end", "rows.json", DEEP.encode(), "Not JSON"),
    refused("columns of one name", "rows.csv", b"a,a\n1,2\n", "Table has no proper header"),
    refused("a header of nothing", "rows.csv", b",,\n1,2,3\n", "Table has no proper header"),
    refused("half a Parquet file", "rows.parquet", within(lambda content: content[:-9], parquet(
        TWO)), "Parquet file is damaged"),
    refused("no Parquet file", "rows.parquet", b"prompt,completion\n", "Parquet file is damaged"),
    refused("half an Arrow file", "rows.arrow", b"ARROW1\0\0 and no more", "Arrow file is damaged"),
    refused("a torn Arrow stream", "rows.arrow", b"\xff\xff\xff\xff\x10\0\0\0 and no more",
            "Arrow file is damaged"),
    refused("half a gzip file", "rows.jsonl.gz", gzip.compress(LINES * 50)[:-30],
            "Packed file is damaged"),
    refused("a damaged gzip file", "rows.jsonl.gz", gzip.compress(LINES)[:30] + b"\0" * 30,
            "Packed file is damaged"),
    refused("half an xz file", "rows.jsonl.xz", lzma.compress(LINES * 50)[:-20],
            "Packed file is damaged"),
    refused("half a bzip2 file", "rows.jsonl.bz2", bz2.compress(LINES)[:-8],
            "Packed file is damaged"),
    refused("half a zstandard file", "rows.jsonl.zst", zstd(LINES * 50)[:-20],
            "Packed file is damaged"),
    refused("half a zip file", "rows.zip", zipped(rows_jsonl=LINES)[:-30],
            "Packed file is damaged"),
    refused("a zip file with a password", "rows.zip", locked(LINES), "Archive has a password"),
    refused("a zip file without data", "rows.zip", zipped(a_py=b"x"), "No data in this archive"),
    refused("a gzip bomb", "rows.jsonl.gz", gzip.compress(b"a" * 80_000_000),
            "Archive unpacks without end"),
    refused("a zip bomb", "rows.zip", zipped(rows_txt=b"x" * 80_000_000),
            "Archive unpacks without end"),
    refused("an xz bomb", "rows.csv.xz", lzma.compress(b"a" * 80_000_000, preset=0),
            "Archive unpacks without end"),
    refused("a tar archive", "rows.tar.gz", gzip.compress(tarred(LINES)), "Not a data file",
            said="tar"),
    refused("a web page", "rows.jsonl", b"<!DOCTYPE html><p>Sign in", "Not a data file"),
    refused("a pointer of Git LFS", "rows.parquet",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Not a data file",
            said="git lfs pull"),
    refused("an Excel workbook", "rows.xlsx", zipped(xl__workbook_xml=b"x"), "Not a data file"),
    refused("an SQLite database", "rows.db", b"SQLite format 3\0" + b"\0" * 99, "Not a data file"),
    refused("a picture", "rows.png", b"\x89PNG\r\n\x1a\n\0\0", "Unknown kind of file"),
    refused("zero bytes", "rows.txt", b"\x00\x01\x02\x00\x00" * 9, "Not a text file"),
    refused("Japanese in Shift-JIS", "rows.txt", ("これは日本語の文です。" * 9).encode("shift-jis"),
            "Not a text file"),
    refused("half a character of UTF-16", "rows.jsonl", b"\xff\xfe{\x00\x00\xd8a\x00",
            "Not a text file"),
    Case("a folder without data", {"sub/a.py": b"x", "b.png": b"x"},
         title="No data in this folder"),
    Case("a selection of rows", {"state.json": b'{"_indices_data_files": [{"filename": "i"}]}',
         "d/x.txt": b"", "data.arrow": b"x"}, title="A selection of rows"),
    Case("several configurations", {"README.md": b"---\nconfigs:\n- {config_name: a, data_files: "
         b"a.csv}\n- {config_name: b, data_files: b.csv}\n---\n", "a.csv": CSV.encode(),
         "b.csv": CSV.encode()}, title="Which configuration?", said="“a”, “b”"),
    Case("no such configuration", {"en/a.jsonl": LINES, "de/a.jsonl": LINES},
         part={"config": "fr"}, title="No such configuration", said="“de”"),
    Case("no such split", {"train.jsonl": LINES, "test.jsonl": LINES}, part={"split": "dev"},
         title="No such split"),
]  # fmt: skip

CASES = [*ROWS, *REFUSED]
