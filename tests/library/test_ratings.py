"""Ratings of chats: kept as they come, and what rows and pairs they make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.core.own_sets import Rating
from studio.core.recipe import DataPart, DatasetPart
from studio.core.upgrades import FORMATS, Newer
from studio.library import hub_datasets, own_datasets, own_rows, ratings
from studio.library.folders import Home
from studio.preparer.report import inspect

ASKED = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"})


def rating(answer: str, text: str, **more: Any) -> Rating:
    return Rating(answer=answer, messages=ASKED, text=text, **more)


def rows(home: Home, name: str = "chats", file: str = "rows.jsonl") -> list[dict[str, Any]]:
    lines = (home.datasets / name / file).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def answers(home: Home, name: str = "chats") -> list[str]:
    return [row["messages"][-1]["content"] for row in rows(home, name)]


def test_good_and_corrected_answers_become_chats(home: Home) -> None:
    assert ratings.collected(home) == 0
    assert ratings.rate(home, rating("1", "Hi!", rating="up")) == 1
    assert ratings.rate(home, rating("2", "Go away.", rating="down")) == 1
    assert ratings.rate(home, rating("3", "Helo", correction="Hello", rating="up")) == 2
    assert rows(home)[0] == {"messages": [*ASKED, {"role": "assistant", "content": "Hi!"}]}
    assert answers(home) == ["Hi!", "Hello"]
    part = hub_datasets.located(home, DatasetPart(path="chats"))
    assert inspect((part,), None, DataPart()).usable_rows == 2


def test_changing_ones_mind_changes_the_row_and_keeps_what_was(home: Home) -> None:
    ratings.rate(home, rating("1", "Hi!", rating="up"))
    assert ratings.rate(home, rating("1", "Hi!", rating="")) == 0
    assert ratings.rate(home, rating("1", "Hi!", rating="up", correction="Hello")) == 1
    assert answers(home) == ["Hello"]
    log = (home.datasets / "chats" / "ratings.jsonl").read_bytes()
    assert log.count(b"\n") == 3


def test_good_and_bad_answers_to_the_same_make_pairs(home: Home) -> None:
    ratings.rate(home, rating("1", "Hi!", rating="up"))
    ratings.rate(home, rating("2", "Go away.", rating="down"))
    ratings.rate(home, rating("3", "Helo", correction="Hi!"))
    ratings.rate(home, Rating(answer="4", messages=ASKED[1:], text="Other", rating="down"))
    pairs = rows(home, file="preferences.jsonl")
    assert [(p["chosen"][0]["content"], p["rejected"][0]["content"]) for p in pairs] == [
        ("Hi!", "Go away."),
        ("Hi!", "Helo"),
    ]
    part = hub_datasets.located(home, DatasetPart(path="chats/preferences"))
    report = inspect((part,), None, DataPart())
    assert (report.usable_rows, {"chosen", "prompt"} <= set(report.roles)) == (2, True)


def test_a_killed_writer_loses_nothing(home: Home) -> None:
    ratings.rate(home, rating("1", "Hi!", rating="up"))
    folder = home.datasets / "chats"
    kept = (folder / "ratings.jsonl").read_bytes()
    (folder / "rows.jsonl").unlink()  # killed before they were made
    assert ratings.collected(home) == 1
    (folder / "ratings.jsonl").write_bytes(kept + kept[: len(kept) // 2])  # killed in the middle
    assert ratings.rate(home, rating("2", "Hey", rating="up")) == 2
    assert answers(home) == ["Hi!", "Hey"]


def test_a_set_built_of_them_can_be_edited_and_the_growing_one_not(home: Home) -> None:
    with pytest.raises(StudioError, match="No rated"):
        ratings.build(home, "mine")
    ratings.rate(home, rating("1", "Hi!", rating="up"))
    ratings.build(home, "mine")
    row = own_rows.read(home, "mine")[0]
    own_rows.delete(home, "mine", row)
    assert (answers(home, "mine"), answers(home)) == ([], ["Hi!"])
    assert {one.name: one.growing for one in own_datasets.listing(home)} == {
        "mine": False,
        "chats": True,
    }
    with pytest.raises(StudioError, match="grows"):
        own_rows.delete(home, "chats", row)


def test_a_set_of_a_newer_studio_takes_no_ratings(home: Home) -> None:
    ratings.rate(home, rating("1", "Hi!", rating="up"))
    note = home.datasets / "chats" / "studio.json"
    note.write_text(json.dumps({"format": FORMATS["dataset"] + 1}), "utf-8")
    with pytest.raises(Newer):
        ratings.rate(home, rating("2", "Hey", rating="up"))
    assert len(ratings.rated(home)) == 1
