"""Own sets made of texts and of other datasets; what they were made of stays as it was."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from studio.core.errors import StudioError
from studio.core.own_sets import Built
from studio.core.preparing import BuildPassages
from studio.core.recipe import DataPart, DatasetPart
from studio.library import own_datasets
from studio.library.folders import Home
from studio.preparer.build import copy, from_texts
from studio.preparer.progress import silent
from studio.preparer.report import inspect

TEXT = "Rain fell on the hills.\nIt fell all day.\n\nThe river rose.\n\nBy night it was over.\n"


def rows(built: Built) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(built.path).read_text("utf-8").splitlines()]


def ask(home: Home, source: Path, **more: Any) -> BuildPassages:
    known = {"id": 1, "source": str(source), "home": str(home.root), "name": "mine", "size": 60}
    return BuildPassages(**(known | more))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with text, Markdown, rows of text, a chat, and what is no data."""
    folder = tmp_path / "my texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "rain.txt").write_bytes(TEXT.encode("utf-16"))
    (folder / "deep" / "notes.md").write_text("# Rivers\n\nThey rise.\n\n# Hills\n\nThey stay.\n")
    (folder / "rows.jsonl").write_text('{"text": "one row"}\n{"text": "another"}\n')
    (folder / "chat.jsonl").write_text('{"prompt": "hi", "completion": "ho"}\n')
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def test_a_folder_becomes_passages_that_say_where_they_are_from(home: Home, texts: Path) -> None:
    built = from_texts(ask(home, texts), silent)
    first = "Rain fell on the hills.\nIt fell all day.\n\nThe river rose."
    assert [tuple(row.values()) for row in rows(built)] == [
        ("# Rivers\n\nThey rise.\n\n# Hills\n\nThey stay.", "deep/notes.md", 1),
        (first, "rain.txt", 1),
        ("By night it was over.", "rain.txt", 6),
        ("one row", "rows.jsonl", 1),
        ("another", "rows.jsonl", 2),
    ]
    assert list(rows(built)[0]) == ["text", "file", "line"]
    assert (built.name, built.rows, built.files, built.left_out) == ("mine", 5, 4, 1)
    assert built.problems[0].field == "chat.jsonl"
    report = inspect((DatasetPart(path=built.path),), None, DataPart())
    assert (report.roles["text"], report.usable_rows) == ("text", 5)


def test_passages_are_as_long_as_the_model_counts(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    story = tmp_path / "story.txt"
    story.write_text("\n\n".join(f"In the year {n} it rained a lot." for n in range(60)), "utf-8")
    built = from_texts(ask(home, story, size=120, overlap=30, model=str(tiny_model)), silent)
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    found = [row["text"] for row in rows(built)]
    counts = [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in found]
    assert max(counts) <= 120
    assert min(counts[:-1]) > 80
    for one, following in itertools.pairwise(found):
        assert following.split("\n\n")[0] == one.split("\n\n")[-1]


def test_nothing_to_learn_from_leaves_no_set(home: Home, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for source in (tmp_path / "none", tmp_path / "gone"):
        with pytest.raises(StudioError):
            from_texts(ask(home, source), silent)
    with pytest.raises(StudioError, match="smaller"):
        from_texts(ask(home, tmp_path, size=5, overlap=5), silent)
    assert own_datasets.listing(home) == []
    assert not home.datasets.exists() or list(home.datasets.iterdir()) == []


def test_a_copy_has_chats_and_leaves_the_file_alone(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "alpaca.csv"
    file.write_text("instruction,input,output\nAdd,1 and 2,3\nSay,,\nName,,Ada\n", "utf-8")
    before = file.stat().st_mtime_ns, file.read_bytes()
    built = copy(home, "my copy", DatasetPart(path=str(file)), silent)
    said = [[(m["role"], m["content"]) for m in row["messages"]] for row in rows(built)]
    assert said == [
        [("user", "Add\n\n1 and 2"), ("assistant", "3")],
        [("user", "Name"), ("assistant", "Ada")],
    ]
    assert (built.name, built.left_out, built.problems[0].row) == ("my-copy", 1, 3)
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    with pytest.raises(StudioError, match="taken"):
        copy(home, "my copy", DatasetPart(path=str(file)), silent)


def test_a_copy_of_preferences_keeps_the_rejected_answers(home: Home, tmp_path: Path) -> None:
    row = {"prompt": "hi", "chosen": "hello", "rejected": "go away"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    built = copy(home, "pairs", DatasetPart(path=str(tmp_path / "pairs.jsonl")), silent)
    assert rows(built) == [row]


def test_a_copy_leaves_held_out_files_out(home: Home, tmp_path: Path) -> None:
    for name in ("train", "test"):
        row = {"prompt": name, "completion": "x"}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    built = copy(home, "one", DatasetPart(path=str(tmp_path)), silent)
    assert [row["messages"][0]["content"] for row in rows(built)] == ["train"]
    assert "held-out" in built.problems[-1].text
