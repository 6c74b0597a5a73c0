"""Names of datasets become files, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import datasets


def test_the_sample_is_there_with_its_held_out_rows() -> None:
    part = DatasetPart(path="sample")
    rows = datasets.score_rows(part)
    assert datasets.resolve(part).name == "train.jsonl"
    assert rows is not None
    assert rows.is_file()
    assert rows.parent == datasets.resolve(part).parent


def test_files_and_folders_are_themselves(tmp_path: Path) -> None:
    file = tmp_path / "rows with spaces.csv"
    file.write_text("text\nhello\n", encoding="utf-8")
    for path in (file, tmp_path):
        assert datasets.resolve(DatasetPart(path=str(path))) == path
        assert datasets.score_rows(DatasetPart(path=str(path))) is None


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.txt").write_text("hello", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert datasets.resolve(DatasetPart(path="rows.txt")) == tmp_path / "rows.txt"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("rows.jsonl", "Dataset not found"),
        ("folder/rows.jsonl", "Dataset not found"),
        ("", "Dataset not found"),
        ("someone/some-dataset", "Dataset is not on this machine"),
    ],
)
def test_what_is_missing_is_said_with_a_fix(
    name: str, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudioError) as caught:
        datasets.resolve(DatasetPart(path=name))
    assert caught.value.title == title
    assert name in caught.value.text
    assert caught.value.fix


def test_overlap_needs_held_out_rows() -> None:
    with pytest.raises(ValueError, match="no held-out rows"):
        datasets.overlap([("a", {"b": "c"})], [])
