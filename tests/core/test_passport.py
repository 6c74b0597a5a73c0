"""A passport in words: what it says where there is no held-out loss, and which base was taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core import exporting, passport
from studio.core.passport import Passport

CHECKED = Passport(
    grade="pass", runtime="llama.cpp", precision="8-bit", dtype="bfloat16", top1=0.98,
    agreement=0.99, kl=0.01, kl_max=0.2, kl_over=128, kl_without_adapter=1.2, positions=1200,
    prompts=16, loss=0.41, loss_trained=0.4, loss_bare=2.5, loss_positions=700,
)  # fmt: skip


def test_a_loss_is_said_beside_that_of_training() -> None:
    words = passport.verdict(CHECKED)
    assert "agree on 98.0% of the likeliest" in words
    assert words.endswith("held-out loss 0.410, as trained 0.400.")
    assert passport.no_loss(CHECKED) == ""


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"loss_positions": 0, "kl_without_adapter": None}, "without an adapter"),
        ({"loss_positions": 0}, "no rows that the adapter's run held out are here"),
        ({}, "llama.cpp doesn't tell it"),
    ],
)
def test_a_loss_that_is_missing_is_explained(known: dict[str, Any], why: str) -> None:
    found = msgspec.structs.replace(CHECKED, loss=None, **known)
    assert why in passport.no_loss(found)
    assert passport.verdict(found).endswith(passport.no_loss(found))


def test_the_base_that_was_taken_is_said_with_what_both_came_to() -> None:
    assert exporting.base_words("", {}) == ""
    assert exporting.base_words("original", {}) == "Built on the 16-bit original."
    words = exporting.base_words("trained", {"original": 1.5, "trained": 1.25})
    assert words.startswith("Built on the 4-bit base")
    assert "1.5000 on the original, 1.2500 on the 4-bit base" in words
