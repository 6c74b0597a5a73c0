"""adapters on the command line, all of it with --json."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from studio.library.folders import Home
from tests.support import tiny_model as tiny
from tests.support.adapter_files import write_adapter
from tests.support.command_line import ask, call


@pytest.fixture
def two(home: Home, tmp_path: Path) -> Home:
    """A home with the adapters “one” and “two”."""
    for name in ("one", "two"):
        write_adapter(tmp_path / "made" / name)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "made")
    assert len(ask(home, "adapters", "import", archive).result) == 2
    return home


def found(home: Home, *arguments: object) -> list[str]:
    return [row["name"] for row in ask(home, "adapters", "list", *arguments).result]


def test_notes_tags_and_finding_by_them(two: Home) -> None:
    assert ask(two, "adapters", "tag", "one", "shop", "json").result["tags"] == ["shop", "json"]
    assert ask(two, "adapters", "note", "one", "good at dates").result["notes"] == "good at dates"
    assert found(two, "dates", "shop") == ["one"]
    assert found(two, "--tag", "SHOP") == ["one"]
    assert found(two, "--base", "tiny-llama", "--sort", "name") == ["one", "two"]
    assert found(two, "nowhere") == []
    assert ask(two, "adapters", "tag", "one", "--remove", "json").result["tags"] == ["shop"]
    assert ask(two, "adapters", "tag", "one").code == 1
    shown = ask(two, "adapters", "show", "one").result
    assert (shown["notes"], shown["history"]["samples"], shown["children"]) == (
        "good at dates", [], [],
    )  # fmt: skip
    said = call(two, "adapters", "show", "one").out
    assert "Tags     shop" in said
    assert "Base     tiny-llama" in said


def test_to_the_trash_and_back_and_for_good(two: Home) -> None:
    for name in ("one", "two"):
        assert ask(two, "adapters", "delete", name).code == 0
    assert found(two) == []
    assert {row["title"] for row in ask(two, "adapters", "trash").result} == {"one", "two"}
    assert ask(two, "adapters", "restore", "one").result["name"] == "one"
    assert found(two) == ["one"]
    assert ask(two, "adapters", "trash", "--erase", "one").code == 1
    assert [row["title"] for row in ask(two, "adapters", "trash", "--empty").result] == ["two"]
    assert ask(two, "adapters", "trash").result == []
    assert "Adapters in the trash: none" in ask(two, "adapters", "restore", "two").error["fix"]


def test_a_base_is_located(two: Home, tmp_path: Path) -> None:
    lost = ask(two, "adapters", "locate", "one")
    assert lost.code == 1
    assert "adapters locate" in lost.error["fix"]
    base = tiny.build(tmp_path / "base")
    said = ask(two, "adapters", "locate", "one", "--base", base)
    assert said.result["base_folder"] == str(base)
    other = tiny.build(tmp_path / "other", seed=1)
    refused = ask(two, "adapters", "locate", "one", "--base", other)
    assert refused.code == 1
    assert "other weights or settings" in refused.error["text"]
    taken = ask(two, "adapters", "locate", "one", "--base", other, "--anyway")
    assert taken.result["base_folder"] == str(other)


def test_every_reason_of_a_refusal_is_told(home: Home, tmp_path: Path) -> None:
    made = write_adapter(tmp_path / "made", r=8, use_dora=True)
    said = ask(home, "adapters", "import", made)
    assert said.code == 1
    assert {problem["field"] for problem in said.error["problems"]} == {"r", "use_dora"}
