"""A library is read anew only where it changed, and never shows what is no longer true."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.library import adapters
from studio.library.adapters import index
from studio.library.folders import Home
from tests.support.adapter_files import write_adapter

HOUR = 3600


@pytest.fixture
def shelf(home: Home, tmp_path: Path) -> list[Path]:
    """Three adapters that nobody has touched for an hour."""
    folders = [
        adapters.import_folder(home, write_adapter(tmp_path / name)) for name in ("a", "b", "c")
    ]
    for folder in folders:
        settle(folder)
    return folders


def settle(folder: Path) -> None:
    for file in folder.iterdir():
        then = file.stat().st_mtime - HOUR
        os.utime(file, (then, then))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The adapters whose files are read, in order."""
    found: list[str] = []
    real = index.facts_or_problem

    def noted(folder: Path) -> adapters.AdapterFacts:
        found.append(folder.name)
        return real(folder)

    monkeypatch.setattr(index, "facts_or_problem", noted)
    return found


def test_only_what_changed_is_read_again(home: Home, shelf: list[Path], reads: list[str]) -> None:
    first = adapters.listing(home)
    assert sorted(reads) == ["a", "b", "c"]
    reads.clear()
    assert adapters.listing(home) == first
    assert reads == []
    adapters.rename(home, shelf[1], "Orders")
    reads.clear()
    assert {row.name for row in adapters.listing(home)} == {"a", "Orders", "c"}
    assert reads == ["b"]


def test_a_change_that_keeps_size_and_time_in_the_last_seconds_is_seen(
    home: Home, shelf: list[Path]
) -> None:
    adapters.rename(home, shelf[0], "one")
    assert "one" in {row.name for row in adapters.listing(home)}
    facts = shelf[0] / adapters.FACTS_FILE
    stat = facts.stat()
    content = facts.read_bytes().replace(b'"one"', b'"two"')
    with facts.open("r+b") as file:
        file.write(content)
    os.utime(facts, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "two" in {row.name for row in adapters.listing(home)}


def test_what_is_gone_or_broken_is_said(home: Home, shelf: list[Path]) -> None:
    adapters.listing(home)
    (shelf[0] / "adapter_model.safetensors").unlink()
    adapters.delete(home, shelf[1])
    rows = {row.name: row.problem for row in adapters.listing(home)}
    assert set(rows) == {"a", "c"}
    assert "no adapter_model.safetensors" in rows["a"]
    assert not rows["c"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": [999, 1], "entries": {}}'])
def test_an_index_that_cannot_be_used_is_made_anew(
    home: Home, shelf: list[Path], reads: list[str], content: bytes
) -> None:
    expected = adapters.listing(home)
    place = home.cache / "adapters.json"
    place.write_bytes(content)
    reads.clear()
    assert adapters.listing(home) == expected
    assert len(reads) == 3
    reads.clear()
    adapters.listing(home)
    assert reads == []


def test_a_home_that_moved_keeps_its_index(
    home: Home, shelf: list[Path], reads: list[str], tmp_path: Path
) -> None:
    adapters.listing(home)
    moved = Home(home.root.rename(tmp_path / "moved"))
    reads.clear()
    rows = adapters.listing(moved)
    assert reads == []
    assert {Path(row.path).parent for row in rows} == {moved.adapters}
    home.make()
