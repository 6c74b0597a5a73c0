"""Which datasets are the hub's, and which of them are on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import hub_datasets
from studio.library.folders import Home

COMMIT = "c0ffee" + "0" * 34


def copied(home: Home, *fetched: tuple[str, str], revision: str = "main") -> Path:
    """A copy of org/answers with these configurations and splits."""
    top = hub_datasets.hub_folder(home, "org/answers")
    folder = top / COMMIT
    folder.mkdir(parents=True)
    note = {"repo": "org/answers", "revision": COMMIT, "fetched": fetched}
    (folder / hub_datasets.NOTE).write_text(json.dumps(note), "utf-8")
    (top / hub_datasets.REVISIONS).write_text(json.dumps({revision: COMMIT}), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("path", "repo"),
    [
        ("org/answers", "org/answers"),
        ("org/answers-v1.5", "org/answers-v1.5"),
        ("hf://datasets/org/answers", "org/answers"),
        ("hf://datasets/squad", "squad"),
        ("https://huggingface.co/datasets/org/answers/", "org/answers"),
        ("huggingface.co/datasets/org/answers", "org/answers"),
        ("folder/rows.jsonl", ""),
        ("folder/rows.parquet", ""),
        ("answers", ""),
        ("a/b/c", ""),
        ("~/answers", ""),
        ("/org/answers", ""),
        ("", ""),
    ],
)
def test_which_paths_are_of_the_hub(
    path: str, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_datasets.hub_id(DatasetPart(path=path)) == repo


def test_a_folder_that_exists_is_not_the_hubs(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org" / "answers").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    part = DatasetPart(path="org/answers", split="train")
    assert hub_datasets.hub_id(part) == ""
    found = hub_datasets.located(home, part)
    assert (found.path, found.split) == (str(tmp_path / "org" / "answers"), "train")


def test_the_sample_and_what_is_missing_keep_their_names(home: Home) -> None:
    for path in ("sample", "", "absent.jsonl", "~nobody-at-all/x.jsonl", "a\0b.csv"):
        part = DatasetPart(path=path)
        assert hub_datasets.located(home, part) == part


def test_a_copy_stands_for_the_name(home: Home) -> None:
    folder = copied(home, ("", ""), ("en", "train"))
    for part in (
        DatasetPart(path="org/answers"),
        DatasetPart(path="org/answers", revision="main"),
        DatasetPart(path="org/answers", revision=COMMIT, config="en", split="train"),
    ):
        assert hub_datasets.located(home, part).path == str(folder)
    assert hub_datasets.origin_at(str(folder)) == hub_datasets.origin_of(folder)
    assert hub_datasets.origin_at("org/answers") is None


@pytest.mark.parametrize(
    "about", [{"config": "de"}, {"split": "test"}, {"revision": "v2"}, {"revision": "../.."}]
)
def test_what_of_it_is_not_here_says_how_to_get_it(home: Home, about: dict[str, str]) -> None:
    copied(home, ("", ""), ("en", "train"))
    with pytest.raises(StudioError) as caught:
        hub_datasets.located(home, DatasetPart(path="org/answers", **about))  # type: ignore[arg-type]
    assert caught.value.title == "Dataset is not on this machine"
    (option,) = about.items()
    assert caught.value.fix.endswith(f"dataset org/answers --{option[0]} {option[1]}")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"main": 3}'])
def test_damaged_notes_are_no_copy(home: Home, content: bytes) -> None:
    folder = copied(home, ("", ""))
    (folder.parent / hub_datasets.REVISIONS).write_bytes(content)
    (folder / hub_datasets.NOTE).write_bytes(content)
    with pytest.raises(StudioError):
        hub_datasets.located(home, DatasetPart(path="org/answers"))
