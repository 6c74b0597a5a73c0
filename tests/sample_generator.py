"""Writes the sample dataset: `python tests/sample_generator.py` makes resources/sample anew."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
FOLDER = Path(__file__).resolve().parent.parent / "resources" / "sample"
TRAIN_ROWS, HELDOUT_ROWS, HELDOUT_NEW_PATTERNS = 440, 60, 30

TRAIN_PATTERNS = (
    "Order {order}: one {item} for {to}.",
    "{to} wants the {item}, order {order}.",
    "Please send the {item} to {to} as order {order}.",
    "Today {to} is waiting for order {order}, one {item}.",
    "{item}, {to}, {order}",
    "Number {order} is the {item} for {to}.",
    "Note: {to} ordered one {item}. Number: {order}.",
    "Could you ship order {order} to {to}? It is the {item}.",
    "A call came in, {to} needs the {item} under {order}.",
    "We owe {to} one {item}; that is order {order}.",
    "{order} / {to} / {item}",
    "Don't forget the {item} that {to} bought, number {order}.",
    "Yesterday {to} asked for one {item}, so {order} must leave soon.",
    "One {item} is due for {to} (order {order}).",
    "{to}: {item}. Reference {order}.",
    "Pack the {item} now. The customer is {to} and the order is {order}.",
)
HELDOUT_PATTERNS = (
    "{to} is still missing the {item} of order {order}.",
    "Put the {item} on the van for {to}, order number {order}.",
    "Under {order} we promised the {item} to {to}, remember?",
    "Customer = {to}, thing = {item}, order = {order}",
    "Has order {order} arrived yet? {to} keeps asking about the {item}.",
    "The {item} with number {order} belongs to {to}.",
)


def words() -> dict[str, list[str]]:
    """Section -> words of sample_words.txt."""
    text = Path(__file__).with_name("sample_words.txt").read_text("utf-8")
    sections = (part.partition("]") for part in text.split("[")[1:])
    return {name: content.split() for name, _, content in sections}


class Values:
    """Draws one split's values; order numbers divisible by 7 belong to the held-out split."""

    def __init__(self, rng: random.Random, split: str) -> None:
        self._rng = rng
        self._words = {kind: words()[f"{split} {kind}"] for kind in ("names", "looks", "things")}
        self._orders = [n for n in range(100, 1000) if (n % 7 == 0) == (split == "heldout")]

    def draw(self) -> dict[str, str | int]:
        names, looks, things = self._words.values()
        return {
            "order": pick(self._rng, self._orders),
            "item": f"{pick(self._rng, looks)} {pick(self._rng, things)}",
            "to": pick(self._rng, names),
        }


def pick(rng: random.Random, choices: Sequence[T]) -> T:
    """One of choices by random() alone, whose sequence Python promises not to change."""
    return choices[int(rng.random() * len(choices))]


def row(pattern: str, values: dict[str, str | int]) -> dict[str, object]:
    user = {"role": "user", "content": pattern.format(**values)}
    return {"messages": [user, {"role": "assistant", "content": json.dumps(values)}]}


def train_rows() -> list[dict[str, object]]:
    values = Values(random.Random(20261122), "train")
    return [row(TRAIN_PATTERNS[i % len(TRAIN_PATTERNS)], values.draw()) for i in range(TRAIN_ROWS)]


def heldout_rows() -> list[dict[str, object]]:
    """Half of the rows use patterns that training never shows, every second one."""
    values = Values(random.Random(20261123), "heldout")
    new = [HELDOUT_PATTERNS[i % len(HELDOUT_PATTERNS)] for i in range(HELDOUT_NEW_PATTERNS)]
    known = [TRAIN_PATTERNS[i % len(TRAIN_PATTERNS)] for i in range(HELDOUT_ROWS - len(new))]
    return [row(p, values.draw()) for pair in zip(known, new, strict=True) for p in pair]


def files() -> dict[str, str]:
    """File name -> whole text of every generated file."""
    splits = {"train.jsonl": train_rows(), "heldout.jsonl": heldout_rows()}
    return {name: "".join(json.dumps(r) + "\n" for r in rows) for name, rows in splits.items()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
