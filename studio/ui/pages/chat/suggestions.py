"""What one could ask first: rows the adapter has never seen, or something of general use."""

from __future__ import annotations

import json
from collections.abc import Collection

from studio.core.recipe import DatasetPart
from studio.library import datasets

MOST = 3
GENERAL = (
    "What is the capital of France?",
    "Explain in one sentence what fine-tuning is.",
    "Write two lines about the sea.",
)


def first_questions(trained_on: Collection[str]) -> list[str]:
    """Questions for a model with adapters trained on these datasets; reads the disk."""
    for path in trained_on:
        rows = datasets.score_rows(DatasetPart(path=path)) if path == "sample" else None
        if rows is not None:
            lines = rows.read_text(encoding="utf-8").splitlines()
            return [json.loads(line)["messages"][0]["content"] for line in lines[:MOST]]
    return list(GENERAL)
