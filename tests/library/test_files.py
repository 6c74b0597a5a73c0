"""Whatever happens during a write, the old content or the new one is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
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
    mine, other, longer = (tmp_path / f".partial-0123abcd4567-{n}" for n in ("a*", "b", "x-a*"))
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


def test_a_folder_that_was_about_to_be_replaced_is_put_back(tmp_path: Path) -> None:
    """Killed between the two renames, neither has the name: the old one gets it again."""
    target = tmp_path / "step"
    killed = run_killed(
        f"""
import os, pathlib
from studio.library import files
target = pathlib.Path({str(target)!r})
with files.whole_folder(target) as folder:
    (folder / "weights").write_bytes(b"old")
plain = pathlib.Path.replace
def replace(self, to):
    if to == target:
        os._exit(9)
    return plain(self, to)
pathlib.Path.replace = replace
with files.whole_folder(target) as folder:
    (folder / "weights").write_bytes(b"new")
"""
    )
    assert killed == 9
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 2
    files.sweep_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["step"]
    assert (target / "weights").read_bytes() == b"old"


def run_killed(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode


def test_a_replacing_that_fails_brings_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "step"
    with files.whole_folder(target) as folder:
        (folder / "weights").write_bytes(b"old")
    plain = Path.replace
    refused: list[Path] = []

    def replace(self: Path, to: Path) -> Path:
        if to == target and not refused:
            refused.append(to)
            fail()
        return plain(self, to)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Broken), files.whole_folder(target):
        pass
    assert (target / "weights").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["step"]


def test_what_a_living_process_writes_is_not_swept(tmp_path: Path) -> None:
    """In a folder of many writers only those go whose writer is gone."""
    code = "from studio.library import files; import pathlib, os, sys\n"
    code += f"with files.whole_folder(pathlib.Path({str(tmp_path / 'theirs')!r})): os._exit(9)"
    assert run_killed(code) == 9
    with files.whole_folder(tmp_path / "mine") as mine:
        reused = tmp_path / mine.name.replace("mine", "reused")
        reused.mkdir()
        os.utime(reused, (1.0, 1.0))  # its writer was gone before this process began
        old = tmp_path / f"{files.PARTIAL}someone-else"
        old.mkdir()
        files.sweep_abandoned(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([mine, old])
        os.utime(old, (1.0, 1.0))
        files.sweep_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [mine]
    assert (tmp_path / "mine").is_dir()


def test_two_that_add_the_same_name_get_two_folders(tmp_path: Path) -> None:
    def first(folder: Path) -> None:
        (folder / "weights").write_bytes(b"first")
        files.add_folder(tmp_path, "cat", second)

    def second(folder: Path) -> None:
        (folder / "weights").write_bytes(b"second")

    assert files.add_folder(tmp_path, "cat", first) == tmp_path / "cat-2"
    assert (tmp_path / "cat" / "weights").read_bytes() == b"second"
    assert (tmp_path / "cat-2" / "weights").read_bytes() == b"first"


def test_what_is_there_already_is_not_added_twice(tmp_path: Path) -> None:
    def write(content: bytes) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            (folder / "weights").write_bytes(content)

        return fill

    def same(new: Path, old: Path) -> bool:
        return files.same_files(new, old, "weights")

    assert not files.same_files(tmp_path, tmp_path, "weights")  # none is not the same
    for content, name in ((b"one", "cat"), (b"two", "cat-2"), (b"two", "cat-2"), (b"one", "cat")):
        assert files.add_folder(tmp_path, "cat", write(content), same) == tmp_path / name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cat", "cat-2"]


def test_a_folder_is_removed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off while it is deleted, what is left doesn't pass for a folder of that name."""
    target = tmp_path / "step"
    target.mkdir()
    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(Broken):
        files.remove_folder(target)
    assert [p.name.startswith(files.PARTIAL) for p in tmp_path.iterdir()] == [True]
