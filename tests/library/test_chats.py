"""Conversations on disk: kept exactly, found again, exported, and whole whoever is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from studio.core.chats import Answer, Kept, Turn, history, requests, tally, title_of
from studio.core.errors import StudioError
from studio.core.upgrades import FORMATS, Newer
from studio.library import chat_export, chats, trash
from studio.library.folders import Home


def turn(question: str, *texts: str, parent: str = "", **known: object) -> Turn:
    answers = [
        Answer(
            side=f"side {number}", name=f"Name {number}", text=text, stage="done", id=f"a{number}"
        )
        for number, text in enumerate(texts)
    ]
    made = Turn(id=chats.new_id(), question=question, parent=parent, answers=answers)
    for name, value in known.items():
        setattr(made, name, value)
    return made


def kept_of(*turns: Turn) -> Kept:
    kept = chats.new(model="/models/smol", model_name="Smol", sides=["", "/adapters/loud"])
    for one in turns:
        one.parent = kept.at
        kept.add(one)
    return kept


def test_it_opens_exactly_as_it_was(home: Home) -> None:
    kept = kept_of(turn("What is 2 + 2?", "4", "Vier"), turn("Sure?\n\n```py\nx\n```", "Yes", ""))
    kept.turns[0].answers[0].rating, kept.turns[0].answers[1].correction = "up", "vier"
    kept.turns[1].blind, kept.turns[1].order, kept.turns[1].vote = True, (1, 0), 0
    kept.sampling, kept.system = {"temperature": 0.2}, "Be brief."
    path = chats.save(home, kept)
    assert chats.load(home, kept.id) == kept
    assert json.loads(path.read_bytes())["format"] == FORMATS["chat"]
    assert kept.title == "What is 2 + 2?"


def test_branches_are_kept_and_switched() -> None:
    kept = kept_of(turn("a", "1"), turn("b", "2"), turn("c", "3"))
    edited = turn("B", "4", parent=kept.turns[0].id)
    kept.add(edited)
    assert [one.question for one in kept.path()] == ["a", "B"]
    assert [one.question for one in kept.branches(edited)] == ["b", "B"]
    kept.show(kept.turns[1])
    assert [one.question for one in kept.path()] == ["a", "b", "c"]
    other = turn("A", "5")
    kept.add(other)
    assert [one.question for one in kept.path()] == ["A"]
    kept.show(kept.turns[0])
    assert [one.question for one in kept.path()] == ["a", "B"], "the latest where it forks"


def test_a_ring_of_parents_ends() -> None:
    kept = kept_of(turn("a", "1"))
    kept.turns[0].parent = kept.turns[0].id
    assert len(kept.path()) == 1


def test_each_column_has_its_own_history() -> None:
    turns = [turn("a", "1", "2"), turn("b", "", "")]
    assert history(turns, 1) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "b"},
    ]
    assert [columns for _, columns in requests(turns)] == [[0], [1]]
    assert history(turns, 0, "Be brief.")[0] == {"role": "system", "content": "Be brief."}
    assert requests([turn("a", "", "", "")]) == [([{"role": "user", "content": "a"}], [0, 1, 2])]
    failed = turn("lost", "half")
    failed.answers[0].stage = "failed"
    assert history([turn("a", "1"), failed, turn("b", "")], 0) == history(
        [turn("a", "1"), turn("b", "")], 0
    )


def test_a_search_looks_through_titles_and_texts(home: Home) -> None:
    first = kept_of(turn("Wo liegt Köln?", "Am Rhein, " + "weit " * 40 + "im Westen"))
    second = kept_of(turn("Orders", "Nothing"))
    for kept in (first, second):
        chats.save(home, kept)
    assert [entry.id for entry in chats.listing(home)] == [second.id, first.id]
    [hit] = chats.listing(home, "koln WESTEN")
    assert (hit.id, hit.found) == (first.id, "Wo liegt Köln?")
    [deep] = chats.listing(home, "westen")
    assert deep.found.startswith("\N{HORIZONTAL ELLIPSIS}")
    assert deep.found.endswith("im Westen")
    assert chats.listing(home, "koln orders") == []
    chats.rename(home, second.id, "  Lists of\nthings ")
    assert [entry.title for entry in chats.listing(home, "lists")] == ["Lists of things"]
    assert chats.find(home, "Lists of things") == chats.find(home, second.id) == second.id
    with pytest.raises(StudioError, match="no conversation"):
        chats.find(home, "nothing of the kind")
    with pytest.raises(StudioError, match="stands for 2"):
        chats.find(home, first.id[:6])


@pytest.mark.parametrize("id", ["../settings", "", "a/b", "C:evil", "x" * 99])
def test_a_name_is_no_path(home: Home, id: str) -> None:
    with pytest.raises(StudioError, match="no conversation"):
        chats.load(home, id)


def test_deleted_and_brought_back(home: Home) -> None:
    kept = kept_of(turn("a", "1"))
    chats.save(home, kept)
    gone = chats.delete(home, kept.id)
    assert chats.listing(home) == []
    assert [entry.title for entry in trash.listing(home)] == ["a"]
    chats.restore(home, gone)
    assert chats.load(home, kept.id) == kept
    chats.delete(home, kept.id)
    assert trash.empty(home) == 1
    assert trash.listing(home) == []


def test_newer_and_damaged_ones_are_listed_and_left_alone(home: Home) -> None:
    kept = kept_of(turn("a", "1"))
    path = chats.save(home, kept)
    plain = json.loads(path.read_bytes())
    plain["format"] = FORMATS["chat"] + 1
    path.write_text(json.dumps(plain), "utf-8")
    broken = home.chats / "20200101-000000-abcdef.json"
    broken.write_text("{", "utf-8")
    before = path.read_bytes()
    assert all(entry.problem for entry in chats.listing(home))
    with pytest.raises(Newer):
        chats.rename(home, kept.id, "x")
    with pytest.raises(StudioError, match="can't be read"):
        chats.load(home, broken.stem)
    assert path.read_bytes() == before


def test_what_was_being_answered_when_the_studio_died_is_closed(home: Home) -> None:
    kept = kept_of(turn("a", "half an ans", ""))
    for answer in kept.turns[0].answers:
        answer.stage = "growing"
    chats.save(home, kept)
    half, none = chats.load(home, kept.id).turns[0].answers
    assert (half.stage, half.text) == ("stopped", "half an ans")
    assert none.stage == "failed"
    assert none.problem


_WRITER = """
import sys
from pathlib import Path
from studio.core.chats import Answer, Turn
from studio.library import chats
from studio.library.folders import Home
home = Home(Path(sys.argv[1]))
kept = chats.new(model_name="Smol")
number = 0
while True:
    answer = Answer(side="", name="Bare", text="x" * 20000, stage="done", id="a")
    kept.add(Turn(id=str(number), question=f"question {number}", parent=kept.at, answers=[answer]))
    chats.save(home, kept)
    print(number, flush=True)
    number += 1
    if number % 20 == 0:
        kept.turns.clear()
        kept.at = ""
"""


def test_a_writer_that_is_killed_leaves_a_whole_conversation(home: Home) -> None:
    for saves in (1, 5, 12):
        line = [sys.executable, "-c", _WRITER, str(home.root)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(saves):
                writer.stdout.readline()
            writer.kill()
    found = chats.listing(home)
    assert len(found) == 3
    assert not any(entry.problem for entry in found)
    for entry, least in zip(sorted(found, key=lambda e: e.created_at), (1, 5, 12), strict=True):
        kept = chats.load(home, entry.id)
        assert len(kept.path()) >= least
        assert all(len(one.answers[0].text) == 20000 for one in kept.turns)


def test_markdown_and_rows(home: Home, tmp_path: Path) -> None:
    kept = kept_of(
        turn("a", "one", "two", system="Be brief."), turn("b", "three", "", system="Be brief.")
    )
    kept.turns[1].answers[1].stage = "failed"
    kept.turns[1].answers[1].problem = "Too long."
    kept.turns[0].answers[0].correction = "ONE"
    text = chat_export.markdown(kept)
    assert text.startswith("# a\n")
    assert text.count("Be brief.") == 1
    assert "## Name 0\n\nONE" in text
    assert "*Too long.*" in text
    rows = [json.loads(row)["messages"] for row in chat_export.rows(kept)]
    system = {"role": "system", "content": "Be brief."}
    assert [row[0] for row in rows] == [system, system]
    assert [one["content"] for one in rows[0][1:]] == ["a", "ONE", "b", "three"]
    assert [one["content"] for one in rows[1][1:]] == ["a", "two"]
    out = chat_export.write(kept, tmp_path / "x.jsonl")
    assert [json.loads(line)["messages"] for line in out.read_text("utf-8").splitlines()] == rows
    with pytest.raises(StudioError, match="isn't overwritten"):
        chat_export.write(kept, out)
    assert chat_export.write(kept, tmp_path / "x.md").read_text("utf-8") == text
    with pytest.raises(StudioError, match="No question"):
        chat_export.jsonl(chats.new())


def test_columns_that_said_the_same_are_one_row() -> None:
    assert len(chat_export.rows(kept_of(turn("a", "one", "one")))) == 1


def test_blind_turns_stay_blind_in_an_export_and_votes_are_counted() -> None:
    kept = kept_of(turn("a", "one", "two"), turn("b", "three", "four"), turn("c", "five", "six"))
    for one, vote in zip(kept.turns, (1, 1, -1), strict=True):
        one.blind, one.order, one.vote = True, (1, 0), vote
    told = chat_export.markdown(kept)
    assert "Name" not in told
    assert told.index("two") < told.index("one")
    assert "## Answer A\n\ntwo" in told
    kept.revealed = True
    assert "Name 1" in chat_export.markdown(kept)
    assert tally(kept.path()) == {"Name 0": 0, "Name 1": 2, "": 1}


def test_titles_are_short() -> None:
    assert title_of("  Hello\n there ") == "Hello there"
    long = title_of("word " * 40)
    assert long.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert len(long) < 64
