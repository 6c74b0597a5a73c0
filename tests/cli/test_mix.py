"""mix on the command line: problems first, then one adapter with its check and its scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.library import adapters, mixing
from studio.library.folders import Home
from tests.support.adapter_files import write_adapter
from tests.support.command_line import ask, call


@pytest.fixture
def other(library: Home, tiny_model: Path, tmp_path: Path) -> str:
    """Beside the trained “first”: one made elsewhere, in a folder."""
    folder = write_adapter(tmp_path / "other=side", size=0.2)
    assert adapters.find(library, str(folder)) == folder
    return str(folder)


def test_a_mix_is_checked_baked_and_scored(library: Home, other: str, tmp_path: Path) -> None:
    out = tmp_path / "mixed"
    parts = ("--adapter", "first=0.8", "--adapter", f"{other}=-0.5")
    said = ask(library, "mix", *parts, "--score", "--out", out)
    assert said.code == 0, said.lines[-1]
    result = said.result
    assert (result["path"], result["passport"]["grade"]) == (str(out), "pass")
    assert result["bytes"] > 0
    assert {one["rows_of"] for one in result["scores"]} == {"first"}
    assert [one.weight for one in mixing.read(out).adapters] == [0.8, -0.5]
    again = ask(library, "mix", *parts, "--out", out)
    assert again.code == 1
    assert "not empty" in again.error["text"]


def test_what_can_not_be_mixed_is_said_before_anything_starts(library: Home, other: str) -> None:
    parts = ("--adapter", "first=1", "--adapter", f"{other}=0", "--adapter", "first")
    said = ask(library, "mix", *parts, "--method", "ties", "--density", "2", "--check")
    assert said.code == 1
    fields = [one["field"] for one in said.result["problems"] if one["severity"] == "error"]
    assert {"density", "adapters.2"} <= set(fields)
    refused = ask(library, "mix", *parts, "--method", "ties", "--name", "x")
    assert refused.code == 1
    assert refused.error["problems"]
    assert not library.jobs.exists() or not any(library.jobs.iterdir())
    told = call(library, "mix", "--adapter", "first", "--check")
    assert (told.code, told.out.strip()) == (0, "These can be mixed.")


def test_wrong_usage(library: Home, other: str) -> None:
    assert ask(library, "mix", "--adapter", "first=1").code == 1
    assert ask(library, "mix", "--adapter", f"{other}", "--check").code == 1
    assert ask(library, "mix", "--adapter", "first", "--method", "average", "--check").code == 2
    assert ask(library, "mix", "--adapter", "nobody=1", "--check").code == 1
