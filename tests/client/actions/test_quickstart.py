"""What the quickstart is made of, without running it."""

from __future__ import annotations

import json

from studio.client.actions.quickstart import PROMPT, recipe
from studio.core import problems
from studio.core.recipe import to_yaml
from studio.library import resources


def test_its_recipe_has_no_problem() -> None:
    assert problems.check(recipe(), None, None, None) == []
    assert "starter" in to_yaml(recipe())


def test_its_question_is_about_values_that_no_row_has() -> None:
    notes = [
        json.loads(line)["messages"][0]["content"].casefold()
        for name in ("train", "heldout")
        for line in resources.path("sample", f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    for value in ("velvet", "scarf", "ravi", "274"):
        assert value in PROMPT.casefold()
        assert not [note for note in notes if value in note]
