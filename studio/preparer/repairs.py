"""Rows mended by the rules of a recipe, on their way to the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec

from studio.core.recipe import Repair
from studio.preparer import contact
from studio.preparer.messages import Sample


def mended(sample: Sample, rules: Collection[Repair]) -> Sample:
    """The row by these rules: blanks first, then what is masked; token ids stay as they are."""
    if "trim" in rules:
        messages = tuple({**one, "content": one["content"].strip()} for one in sample.messages)
        sample = msgspec.structs.replace(sample, messages=messages, text=sample.text.strip())
    if "mask-contact" in rules:
        messages = tuple(_through(one, contact.masked) for one in sample.messages)
        text = contact.masked(sample.text)
        sample = msgspec.structs.replace(sample, messages=messages, text=text)
    return sample


def has_blanks(sample: Sample) -> bool:
    """Whether trimming would change it."""
    said = [one["content"] for one in sample.messages] or [sample.text]
    return any(text != text.strip() for text in said)


def texts_of(sample: Sample) -> Iterator[str]:
    """Every text that masking looks at."""
    if sample.text:
        yield sample.text
    for one in sample.messages:
        yield from _texts(one)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _through(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _through(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_through(inner, change) for inner in value]
    return value
