"""Own sets of rows: found by name, edited and undone, whole whenever a writer is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.core.upgrades import FORMATS, Newer
from studio.library import hub_datasets, own_datasets, own_rows, trash
from studio.library.folders import Home
from studio.library.own_datasets import Note


def make(home: Home, name: str, *rows: dict[str, Any]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    made = Note(origin="copy", source="a.csv")
    return own_datasets.create(home, name, made, lambda path: (path.write_text(text), None)[1])


def texts(home: Home, name: str) -> list[str]:
    lines = (home.datasets / name / "rows.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def set_of(home: Home, *said: str) -> None:
    make(home, "mine", *({"text": one} for one in said))


def test_a_set_is_found_by_its_name(home: Home, tmp_path: Path, monkeypatch: Any) -> None:
    folder = make(home, "My notes", {"text": "a"}, {"text": "b"})
    part = hub_datasets.located(home, DatasetPart(path="My-notes"))
    assert part.path == str(folder / "rows.jsonl")
    (one,) = own_datasets.listing(home)
    assert (one.name, one.rows, one.origin, one.source) == ("My-notes", 2, "copy", "a.csv")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "My-notes").write_text("x", "utf-8")
    part = hub_datasets.located(home, DatasetPart(path="My-notes"))
    assert part.path == str(tmp_path / "My-notes"), "a file that exists is that file"
    for text in ("", ".", "..", "../datasets/My-notes", "My-notes/rows", "no", "a\0b", "sample"):
        assert own_datasets.find(home, text) is None


def test_names_that_are_taken_or_none_are_refused(home: Home) -> None:
    set_of(home, "a")
    for name in ("mine", "sample", "chats", "", "///"):
        with pytest.raises(StudioError):
            set_of(home) if name == "mine" else make(home, name)


def test_rows_are_edited_and_every_change_undone(home: Home) -> None:
    set_of(home, "a", "b", "c")
    first, second, third = own_rows.read(home, "mine")
    own_rows.replace(home, "mine", second, {"text": "ß\n2"})
    own_rows.delete(home, "mine", third)
    own_rows.insert(home, "mine", 0, {"text": "new"})
    own_rows.insert(home, "mine", 3, {"text": "last"})
    assert texts(home, "mine") == ["new", "a", "ß\n2", "last"]
    undone = [own_rows.undo(home, "mine") for _ in range(5)]
    assert undone == [3, 0, 2, 1, None]
    assert texts(home, "mine") == ["a", "b", "c"]
    assert own_rows.read(home, "mine") == [first, second, third]
    assert own_rows.read(home, "mine", 1, 1) == [second]
    assert not own_rows.can_undo(home, "mine")


def test_a_row_that_changed_meanwhile_is_not_written_over(home: Home) -> None:
    set_of(home, "a", "b")
    row = own_rows.read(home, "mine")[1]
    own_rows.delete(home, "mine", own_rows.read(home, "mine")[0])
    with pytest.raises(StudioError, match="meanwhile"):
        own_rows.replace(home, "mine", row, {"text": "mine"})
    assert texts(home, "mine") == ["b"]
    with pytest.raises(StudioError, match="Not a row"):
        own_rows.insert(home, "mine", 0, {"text": "\ud800"})


def test_a_change_that_was_killed_is_not_undone_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history is written first: killed before the rows are, it tells of nothing that was."""
    set_of(home, "a", "b")
    own_rows.delete(home, "mine", own_rows.read(home, "mine")[0])

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            own_rows.insert(home, "mine", 0, {"text": "never"})
    assert texts(home, "mine") == ["b"]
    assert own_rows.undo(home, "mine") == 0
    assert texts(home, "mine") == ["a", "b"]


def test_what_others_wrote_is_not_undone(home: Home) -> None:
    set_of(home, "a", "b")
    own_rows.delete(home, "mine", own_rows.read(home, "mine")[0])
    (home.datasets / "mine" / "rows.jsonl").write_text('{"text": "by hand"}', "utf-8")
    assert own_rows.undo(home, "mine") is None
    own_rows.insert(home, "mine", 1, {"text": "more"})
    assert texts(home, "mine") == ["by hand", "more"]


def test_a_set_that_was_killed_while_it_was_made_is_none(home: Home) -> None:
    half = home.datasets / ".partial-0000000000000000-mine"
    half.mkdir(parents=True)
    (half / "rows.jsonl").write_text('{"text": "a"}\n', "utf-8")
    assert own_datasets.listing(home) == []
    assert own_datasets.find(home, half.name) is None


def test_a_deleted_set_comes_back(home: Home) -> None:
    set_of(home, "a")
    gone = own_datasets.delete(home, "mine")
    assert own_datasets.listing(home) == []
    trash.restore(gone)
    assert texts(home, "mine") == ["a"]
    with pytest.raises(StudioError, match="no set"):
        own_datasets.delete(home, "other")


def test_a_set_of_a_newer_studio_is_left_as_it_is(home: Home) -> None:
    set_of(home, "a")
    note = home.datasets / "mine" / "studio.json"
    note.write_text(json.dumps({"format": FORMATS["dataset"] + 1}), "utf-8")
    with pytest.raises(Newer):
        hub_datasets.located(home, DatasetPart(path="mine"))
    with pytest.raises(Newer):
        own_rows.undo(home, "mine")
    assert "newer" in own_datasets.listing(home)[0].problem
