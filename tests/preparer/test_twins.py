"""Near-duplicates: made pairs of a known likeness, in the midst of rows that are no pairs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from studio.preparer.grouping import firsts, join, joined
from studio.preparer.twins import ALIKE, Sketches, Twins
from studio.preparer.words import Batch, words_of

WORDS = [f"word{i}" for i in range(4000)]


def found(texts: list[str], batch: int = 64) -> Twins:
    sketches = Sketches()
    for start in range(0, len(texts), batch):
        sketches.add(Batch([words_of(text) for text in texts[start : start + batch]]))
    return sketches.find(np.arange(len(texts)))


def likeness(one: list[str], other: list[str]) -> float:
    a, b = ({tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in (one, other))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("length", [12, 40, 200])
def test_pairs_are_found_by_their_likeness(length: int) -> None:
    draw = random.Random(length)
    rows = [[draw.choice(WORDS) for _ in range(length)] for _ in range(600)]
    pairs = []
    for place in range(300):
        copy = list(rows[place])
        for _ in range(draw.randint(1, max(1, length // 12))):
            copy[draw.randrange(length)] = f"new{draw.random()}"
        pairs.append((place, len(rows), likeness(rows[place], copy)))
        rows.append(copy)
    twins = found([" ".join(row) for row in rows])
    sure = [twins.of[copy] == place for place, copy, alike in pairs if alike >= ALIKE + 0.1]
    none = [twins.of[copy] >= 0 for _, copy, alike in pairs if alike < ALIKE - 0.12]
    assert len(none) > 20
    assert not any(none)
    assert sum(sure) >= 0.99 * len(sure)
    copies = {copy for _, copy, _ in pairs}
    assert all(twins.of[row] < 0 for row in range(len(rows)) if row not in copies)
    assert all(twins.group[copy] == twins.of[copy] for copy in copies if twins.of[copy] >= 0)


def test_case_blanks_and_punctuation_make_no_difference() -> None:
    texts = ["What is asked? An answer.", "something else entirely, and more of it",
             "what IS asked -- an   answer", "What is asked? No answer."]  # fmt: skip
    assert found(texts).of.tolist() == [-1, -1, 0, -1]
    assert found(["Hi", "hi!", "ho", "", "...", "hi there"]).of.tolist() == [-1, 0, -1, -1, -1, -1]


def test_scripts_without_blanks_are_compared_letter_by_letter() -> None:
    one = "法国的首都是巴黎位于塞纳河畔是一座非常美丽的城市每年有很多游客来到这里参观博物馆和教堂"
    assert found([one, one.replace("参观", "访问"), one[::-1]]).of.tolist()[2] == -1
    assert found([one * 2, one * 2 + "们", one[::-1]]).of.tolist() == [-1, 0, -1]


def test_a_common_instruction_does_not_make_rows_alike() -> None:
    instruction = " ".join(f"rule{i}" for i in range(200))
    draw = random.Random(1)
    texts = [f"{instruction} {' '.join(draw.sample(WORDS, 8))}" for _ in range(200)]
    twins = found([*texts, texts[3] + "!"], batch=32)
    assert np.flatnonzero(twins.of >= 0).tolist() == [200]
    assert twins.of[200] == 3


def test_what_stays_is_itself_like_what_it_stands_for() -> None:
    draw = random.Random(3)
    text = [draw.choice(WORDS) for _ in range(120)]
    chain = [list(text)]
    for place in range(30):  # each like the one before, the last unlike the first
        text[4 * place] = f"other{place}"
        chain.append(list(text))
    twins = found([" ".join(row) for row in chain])
    assert set(twins.group) == {0}
    assert twins.of[-1] != 0
    for row, keeper in enumerate(twins.of):
        if keeper >= 0:
            assert twins.of[keeper] == -1
            assert likeness(chain[row], chain[keeper]) >= ALIKE - 0.12


def test_groups_of_equal_rows_and_of_chains() -> None:
    values = np.array([[1, 2], [3, 4], [1, 2], [1, 4], [3, 4]], np.uint64)
    assert firsts(values).tolist() == [0, 1, 0, 3, 1]
    assert firsts(values[:0]).tolist() == []
    group = np.arange(2000)
    join(group, np.arange(1999), np.arange(1, 2000))
    assert not group.any()
    assert joined(np.array([0, 0, 2, 3]), np.array([0, 1, 1, 3])).tolist() == [0, 0, 0, 3]
