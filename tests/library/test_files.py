"""Whatever happens during a write, the old content or the new one is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.library import files


class Broken(OSError):
    pass


def fail(*_: object, **__: object) -> None:
    raise Broken("no space left on device")


def write_half(target: Path) -> None:
    with files.whole_folder(target) as folder:
        (folder / "weights").write_bytes(b"half")
        fail()


def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    files.write_whole(path, "old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Broken):
        files.write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    with pytest.raises(Broken):
        write_half(target)
    assert list(tmp_path.iterdir()) == []
    with files.whole_folder(target) as folder:
        (folder / "weights").write_bytes(b"all")
        assert not target.exists()
    assert (target / "weights").read_bytes() == b"all"


def test_a_folder_that_stands_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    with files.whole_folder(target) as folder:
        (folder / "weights").write_bytes(b"old")
    with pytest.raises(Broken):
        write_half(target)
    assert (target / "weights").read_bytes() == b"old"
    with files.whole_folder(target) as folder:
        (folder / "weights").write_bytes(b"new")
    assert (target / "weights").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"]


def test_only_what_was_to_have_the_name_is_swept(tmp_path: Path) -> None:
    mine, other, longer = (tmp_path / f".partial-0123abcd-{n}" for n in ("a*", "b", "x-a*"))
    for folder in (mine, other, longer):
        folder.mkdir()
    files.sweep_partials(tmp_path, "a*")
    assert sorted(tmp_path.iterdir()) == [other, longer]
    files.sweep_partials(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lines_are_read_from_an_offset_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert files.read_lines(path) == ([], 0)
    files.append_line(path, b"one")
    lines, offset = files.read_lines(path)
    assert lines == [b"one"]
    with path.open("ab") as file:
        file.write(b"tw")
    assert files.read_lines(path, offset) == ([], offset)
    with path.open("ab") as file:
        file.write(b"o\n")
    assert files.read_lines(path, offset)[0] == [b"two"]


def test_a_line_cut_short_by_a_crash_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'one\n{"half')
    files.append_line(path, b"two")
    assert files.read_lines(path)[0] == [b"one", b'{"half', b"two"]


def test_leftovers_are_swept(tmp_path: Path) -> None:
    (tmp_path / f"{files.PARTIAL}1-x").mkdir()
    (tmp_path / f"{files.PARTIAL}2-y").write_bytes(b"")
    (tmp_path / "kept").mkdir()
    files.sweep_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
