"""parts: listing them, and naming one that there isn't."""

from __future__ import annotations

from studio.library.folders import Home
from tests.support.command_line import ask, call


def test_parts_are_listed_with_what_they_bring(home: Home) -> None:
    said = ask(home, "parts")
    assert said.code == 0
    (llama,) = [row for row in said.result if row["name"] == "llama-cpp"]
    assert llama["state"] == "installed"  # the tests' own environment has it
    assert llama["bytes"] > 2**20
    people = call(home, "parts", "list")
    assert "llama-cpp" in people.out
    again = ask(home, "parts", "install", "llama-cpp")
    assert (again.code, again.result[0]["state"]) == (0, "installed")


def test_an_unknown_part_is_an_error_with_the_names(home: Home) -> None:
    said = ask(home, "parts", "install", "nope")
    assert said.code == 1
    assert "llama-cpp" in said.error["fix"]
