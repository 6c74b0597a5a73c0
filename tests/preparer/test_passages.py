"""Texts cut into passages: nothing lost, nothing too long, at the best border there is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.preparer.passages import Piece, passages

WORDS = st.text(alphabet="ab .\n", max_size=60)


def cut(*texts: str, size: int, overlap: int = 0) -> list[str]:
    pieces = [Piece(text, 1) for text in texts]
    return [one.text for one in passages(pieces, size, len, overlap)]


def test_whole_paragraphs_go_together_while_they_fit() -> None:
    assert cut("aaaa", "bbbb", "cccc", size=10) == ["aaaa\n\nbbbb", "cccc"]
    assert cut("aaaa", "bbbb", "cccc", size=9) == ["aaaa", "bbbb", "cccc"]


def test_what_is_too_long_is_cut_at_the_best_border() -> None:
    assert cut("One two. Three four.\nfive six", size=22) == ["One two. Three four.", "five six"]
    assert cut("One two. Three four.", size=12) == ["One two.", "Three four."]
    assert cut("One two three", size=8) == ["One two", "three"]
    assert cut("abcdefgh", size=3) == ["ab", "cd", "ef", "gh"]
    assert cut("一二。三四。", size=3) == ["一二。", "三四。"]


def test_passages_share_their_borders() -> None:
    texts = ["first one", "second", "third", "fourth"]
    assert cut(*texts, size=18, overlap=6) == [
        "first one\n\nsecond",
        "second\n\nthird",
        "third\n\nfourth",
    ]
    long = "One is here. Two is here. Three is here."
    assert cut(long, size=30, overlap=13) == [
        "One is here. Two is here.",
        "Two is here. Three is here.",
    ]


def test_lines_are_those_of_the_file() -> None:
    found = list(passages([Piece("a b\nc\n\nd", 7)], 3, len))
    assert [(one.text, one.line) for one in found] == [("a b", 7), ("c", 8), ("d", 10)]


def test_an_overlap_as_large_as_a_passage_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        cut("a", size=3, overlap=3)


@given(st.lists(WORDS, max_size=6), st.integers(1, 30), st.integers(0, 29))
def test_nothing_is_lost_and_nothing_too_long(texts: list[str], size: int, overlap: int) -> None:
    found = cut(*texts, size=size, overlap=min(overlap, size - 1))
    assert all(len(one) <= size for one in found)
    if overlap == 0:
        assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", "".join(texts))
    seen = " ".join(found).split()
    assert {word for text in texts for word in text.split() if len(word) <= size} <= set(seen)


@given(st.lists(WORDS, max_size=6), st.integers(2, 30))
def test_tokens_that_cost_more_together_than_apart_still_fit(texts: list[str], size: int) -> None:
    def measure(text: str) -> int:
        return len(text) + text.count("\n\n") * 3

    found = [one.text for one in passages([Piece(t, 1) for t in texts], size, measure, size // 2)]
    assert all(measure(one) <= size or len(one) == 1 for one in found)
