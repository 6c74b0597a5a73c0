"""The corpus' kinds of file: formats, encodings, dialects, archives and folders, all good."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pyarrow as pa

from tests.preparer.corpus import (
    CHAT,
    PAIR,
    A,
    Case,
    Q,
    arrow_file,
    arrow_stream,
    good,
    jsonl,
    parquet,
    within,
)

TWO = [PAIR, PAIR]
LINES = jsonl(*TWO)
ARRAY = json.dumps(TWO).encode()
CSV = f"prompt,completion\n{Q},{A}\n{Q},{A}\n"


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


JSON = [
    good("JSON Lines", "rows.jsonl", LINES, kind="JSON Lines", encoding="UTF-8"),
    good("ndjson", "rows.ndjson", LINES, kind="JSON Lines"),
    good("JSON Lines under the name of JSON", "rows.json", LINES, kind="JSON Lines"),
    good("JSON Lines of no name", "rows", LINES, kind="JSON Lines"),
    good("Windows line ends", "rows.jsonl", jsonl(*TWO, end="\r\n")),
    good("lone carriage returns", "rows.jsonl", jsonl(*TWO, end="\r")),
    good("no line end at the end", "rows.jsonl", LINES.rstrip()),
    good("blank lines between", "rows.jsonl", LINES.replace(b"\n", b"\n\n  \n")),
    good("numbers that are none", "rows.jsonl", jsonl(
        '{"prompt": "a b", "completion": "c", "loss": NaN}', PAIR), first=("a b", "c")),
    good("a list of objects", "rows.json", ARRAY, kind="JSON"),
    good("a list over many lines", "rows.json", json.dumps(TWO, indent=4).encode()),
    good("a list under the name of JSON Lines", "rows.jsonl", json.dumps(TWO, indent=4).encode(),
         kind="JSON"),
    good("a list of one line an object", "rows.json", b"[\n" + LINES.rstrip().replace(
        b"\n", b",\n") + b"\n]\n"),
    good("a list of no name", "rows.data", ARRAY, kind="JSON"),
    good("objects one after the other", "rows.json",
         "\n".join(json.dumps(row, indent=2) for row in TWO).encode()),
    good("a single object", "row.json", json.dumps(PAIR, indent=1).encode(), rows=1),
    good("a single chat", "row.json", json.dumps({"messages": CHAT}).encode(), rows=1,
         shape="chat messages"),
    good("an object of lists", "rows.json", json.dumps(
        {"prompt": [Q, Q], "completion": [A, A]}).encode()),
    good("rows under data", "rows.json", json.dumps({"version": 2, "data": TWO}).encode()),
    good("rows two levels down", "rows.json", json.dumps(
        {"info": "x", "result": {"count": 2, "rows": TWO}}).encode()),
    good("rows as the hub's server gives them", "rows.json", json.dumps({"features": [], "rows": [
        {"row_idx": i, "row": row, "truncated_cells": []} for i, row in enumerate(TWO)]}).encode()),
    good("splits in an object", "rows.json", json.dumps(
        {"train": TWO, "test": [PAIR]}).encode(), rows=3, evaluation=1),
    good("a table of pandas, split", "rows.json", json.dumps(
        {"columns": ["prompt", "completion"], "index": [0, 1], "data": [[Q, A], [Q, A]]}).encode()),
    good("a table of pandas, by index", "rows.json", json.dumps({"0": PAIR, "1": PAIR}).encode()),
    good("a table of pandas, by column", "rows.json", json.dumps(
        {"prompt": {"0": Q, "1": Q}, "completion": {"0": A, "1": A}}).encode()),
    good("escapes for letters", "rows.jsonl", json.dumps(PAIR).encode() + b"\n" + LINES.split(
        b"\n")[0]),
]  # fmt: skip

ENCODED = [
    good(f"{codec} {kind}", f"rows.{kind}", content.encode(codec), encoding=encoding)
    for kind, content in (("jsonl", LINES.decode()), ("json", ARRAY.decode()), ("csv", CSV))
    for codec, encoding in (
        ("utf-8-sig", "UTF-8 with a byte-order mark"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    )
] + [
    good("Windows-1252", "rows.csv", CSV.encode("cp1252"), encoding="Windows-1252",
         said="is not UTF-8"),
    good("Latin-1 JSON", "rows.jsonl", jsonl(
        {**PAIR, "completion": "Là-bas"}, PAIR | {"completion": "été"}, encoding="latin-1"),
        encoding="Windows-1252", said="read as Windows-1252", first=(Q, "Là-bas")),
    good("a byte-order mark before every line", "rows.jsonl",
         b"".join(b"\xef\xbb\xbf" + line + b"\n" for line in LINES.splitlines())),
]  # fmt: skip

TABLES = [
    good("CSV", "rows.csv", CSV.encode(), kind="CSV"),
    good("CSV with semicolons", "rows.csv", CSV.replace(",", ";").encode()),
    good("CSV with tabs", "rows.csv", CSV.replace(",", "\t").encode()),
    good("CSV with bars", "rows.csv", CSV.replace(",", "|").encode()),
    good("TSV", "rows.tsv", CSV.replace(",", "\t").encode(), kind="TSV"),
    good("TSV where quotes are letters", "rows.tsv",
         b'prompt\tcompletion\n"Well\tyes\n"Oh\tno\n', first=('"Well', "yes")),
    good("commas in semicolons", "rows.csv", b"prompt;completion\na, b, c;d\ne, f;g, h, i\n",
         first=("a, b, c", "d")),
    good("quoted cells with line breaks", "rows.csv",
         b'prompt,completion\n"a\nb","c, ""d"""\r\nx,y\n', first=("a\nb", 'c, "d"')),
    good("single quotes", "rows.csv", b"prompt,completion\n'a, b','c'\n'd','e, f'\n",
         first=("a, b", "c")),
    good("escaped quotes", "rows.csv", b'prompt,completion\n"say \\"a, b\\"","c"\n"d","e"\n',
         first=('say "a, b"', "c")),
    good("Excel's first line", "rows.csv", ("sep=;\r\n" + CSV.replace(",", ";")).encode()),
    good("an index without a name", "rows.csv",
         f",prompt,completion\n0,{Q},{A}\n1,{Q},{A}\n".encode()),
    good("separators too many", "rows.csv", f"prompt,completion,\n{Q},{A},\n{Q},{A},\n".encode()),
    good("blank lines in a table", "rows.csv", ("\n" + CSV.replace("\n", "\n\n")).encode()),
    good("lone carriage returns in a table", "rows.csv", CSV.replace("\n", "\r").encode()),
    good("one column", "rows.csv", b'text\n"a, ""b"""\nc d, e\n', shape="plain text",
         first='a, "b"'),
    good("a chat in a cell", "rows.csv", ('messages\n"' + json.dumps(CHAT).replace(
        '"', '""') + '"\n').encode(), shape="chat messages", rows=1),
    good("Parquet", "rows.parquet", parquet(TWO), kind="Parquet"),
    good("Parquet of another name", "rows.bin", parquet(TWO), kind="Parquet"),
    good("Parquet in zstandard with many groups", "rows.parquet", parquet(
        TWO, compression="zstd", row_group_size=1)),
    good("nested Parquet", "rows.parquet", parquet([{"messages": CHAT}] * 2),
         shape="chat messages"),
    good("Arrow file", "rows.arrow", arrow_file(TWO), kind="Arrow"),
    good("Arrow file, compressed", "rows.feather", arrow_file(TWO, compression="zstd")),
    good("Arrow stream", "rows.arrow", arrow_stream(TWO), kind="Arrow"),
]  # fmt: skip

TEXTS = [
    good("lines of text", "a.txt", "Où?\nthere\n".encode(), shape="plain text", first="Où?",
         kind="text"),
    good("paragraphs", "a.txt", b"one\ntwo\n\nthree\n", shape="plain text", first="one\ntwo"),
    good("Markdown", "a.md", b"# One\n\nis one.\n\n```\n# no heading\n```\n\n## Two\nis two.\n",
         shape="plain text", kind="Markdown",
         first="# One\n\nis one.\n\n```\n# no heading\n```"),
    good("Markdown with front matter", "a.md", b"---\ntitle: x\n---\n# One\nis one.\n# Two\n2\n",
         shape="plain text", first="# One\nis one."),
    good("Markdown without headings", "a.md", b"one\n\ntwo\n", shape="plain text", first="one"),
]  # fmt: skip

PACKED = [
    good("gzip", "rows.jsonl.gz", gzip.compress(LINES), kind="JSON Lines, gzip"),
    good("gzip of several members", "rows.jsonl.gz", b"".join(
        gzip.compress(line + b"\n") for line in LINES.splitlines())),
    good("gzip of no name", "rows", gzip.compress(LINES), kind="JSON Lines, gzip"),
    good("bzip2", "rows.csv.bz2", bz2.compress(CSV.encode()), kind="CSV, bzip2"),
    good("xz", "rows.json.xz", lzma.compress(ARRAY), kind="JSON, xz"),
    good("zstandard", "rows.jsonl.zst", zstd(LINES), kind="JSON Lines, zstandard"),
    good("gzipped text in UTF-16", "a.txt.gz", gzip.compress("Où?\nb\n".encode("utf-16")),
         shape="plain text", first="Où?", encoding="UTF-16"),
    good("gzipped Parquet", "rows.parquet.gz", within(gzip.compress, parquet(TWO)),
         kind="Parquet, gzip"),
    good("xz of an Arrow stream", "rows.arrow.xz", within(lzma.compress, arrow_stream(TWO))),
    good("zip of one file", "rows.zip", zipped(rows_jsonl=LINES), kind="JSON Lines, zip"),
    good("zip of several files", "rows.zip", zipped(
        data__train_jsonl=LINES, data__test_jsonl=jsonl({**PAIR, "completion": "x"}),
        README_md=b"# about", __MACOSX__x_jsonl=b"no", data__train_py=b"evil()"),
        rows=3, evaluation=1),
    good("zip of a Parquet file", "rows.zip", within(
        lambda content: zipped(rows_parquet=content), parquet(TWO))),
    good("zip with a split asked for", "rows.zip", zipped(a__train_csv=CSV.encode(),
         a__test_csv=b"prompt,completion\na,b\n"), rows=1, first=("a", "b"),
         part={"split": "test"}),
]  # fmt: skip

CONFIGS = b"""---
license: cc0-1.0
configs:
- config_name: de
  data_files:
  - split: train
    path: de/*.jsonl
- config_name: en
  default: true
  data_files:
  - split: train
    path: ["en/part-*.jsonl", "en/more.jsonl"]
  - split: validation
    path: en/held.jsonl
---
# A dataset
"""
OTHER = jsonl({"prompt": "Was?", "completion": "Das."})
CONFIGURED = {
    "README.md": CONFIGS, "de/a.jsonl": OTHER, "en/part-0.jsonl": LINES, "en/more.jsonl": LINES,
    "en/held.jsonl": jsonl(PAIR), "en/unlisted.jsonl": OTHER,
}  # fmt: skip
STATE = json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}).encode()

FOLDERS = [
    Case("a folder of several kinds", {"a.jsonl": LINES, "b.csv": CSV.encode(), "LICENSE": b"CC0",
         "sub/c.parquet": parquet(TWO), "notes.txt": b"not data"}, rows=6),
    Case("a folder of texts", {"a.txt": b"One.\n", "b.md": b"# Two\n2\n", "README.md": b"no"},
         shape="plain text", first="One."),
    Case("splits by name", {"train-0.jsonl": LINES, "train-1.jsonl": LINES, "test.jsonl": OTHER,
         ".hidden.jsonl": OTHER}, rows=5, evaluation=1),
    Case("splits by folder", {"train/a.jsonl": LINES, "validation/a.jsonl": OTHER}, rows=3,
         evaluation=1),
    Case("shards of the hub", {"data/train-00000-of-00002.parquet": parquet(TWO),
         "data/train-00001-of-00002.parquet": parquet(TWO),
         "data/test-00000-of-00001.parquet": parquet([PAIR]), "README.md": b"# x"}, rows=5,
         evaluation=1),
    Case("configurations, the default one", CONFIGURED, rows=5, evaluation=1),
    Case("configurations, one asked for", CONFIGURED, rows=1, first=("Was?", "Das."),
         part={"config": "de"}),
    Case("a split of a configuration", CONFIGURED, rows=1, part={"split": "validation"}),
    Case("a folder by configuration", {"en/a.jsonl": LINES, "de/a.jsonl": OTHER}, rows=1,
         first=("Was?", "Das."), part={"config": "de"}),
    Case("what the hub converts to Parquet", {"default/train/0000.parquet": parquet(TWO),
         "default/test/0000.parquet": parquet([PAIR]), "more/train/0000.parquet": parquet(TWO)},
         rows=3, evaluation=1),
    Case("save_to_disk", {"dataset_info.json": b"{}", "state.json": STATE,
         "data-00000-of-00001.arrow": arrow_stream(TWO), "cache-1f.arrow": arrow_stream(TWO),
         "data-old.arrow": arrow_stream(TWO)}),
    Case("save_to_disk with splits", {"dataset_dict.json": b'{"splits": ["train", "test"]}',
         "train/state.json": STATE, "train/data-00000-of-00001.arrow": arrow_stream(TWO),
         "test/state.json": STATE, "test/data-00000-of-00001.arrow": arrow_stream([PAIR])},
         rows=3, evaluation=1),
    Case("an archive in a folder", {"a.zip": zipped(rows_jsonl=LINES), "b.jsonl.gz": gzip.compress(
         LINES)}, rows=4),
]  # fmt: skip

CASES = [*JSON, *ENCODED, *TABLES, *TEXTS, *PACKED, *FOLDERS]
