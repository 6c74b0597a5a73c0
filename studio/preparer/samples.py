"""From the values of a row, by the roles of its columns, to a sample or to why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from studio.preparer import fields
from studio.preparer.chats import alternating, as_messages, chat, transcript
from studio.preparer.messages import BadRow, Message, Passed, Sample, clean, message, plain

UNTRAINED = -100
_GOOD = (True, 1, "1", "true", "yes", "good", "chosen", "desirable", "positive", "thumbs_up")
_BAD = (False, 0, -1, "0", "-1", "false", "no", "bad", "rejected", "undesirable", "negative",
        "thumbs_down")  # fmt: skip
_LARGEST_ID = 2**31

Values = Mapping[str, Any]
Roles = Mapping[str, str]


def sample(values: Values, roles: Roles) -> Sample:
    """The sample of a row whose columns play these roles; raises BadRow."""
    if "input_ids" in roles:
        return _tokens(values, roles)
    if "text" in roles:
        return Sample(text=fields.text_in(values, roles["text"]))
    if "chosen" in roles and "prompt" not in roles and _is_text(values, roles["chosen"]):
        return Sample(text=fields.text_in(values, roles["chosen"]))
    found = _messages(values, roles)
    said = fields.at(values, roles["system"]) if "system" in roles else None
    if said and found and found[0]["role"] != "system":
        found.insert(0, message("system", said))
    while found and found[-1]["role"] != "assistant":
        found.pop()  # what follows the last answer teaches nothing
    if not found:
        raise BadRow("has no answer to learn from", "Add a message of the assistant.")
    return Sample(messages=tuple(found), tools=_tools(values, roles))


def messages_in(value: object) -> list[Message]:
    """The messages in the value of a column that is said to hold a chat; [] where it is none."""
    return as_messages(value) or alternating(value)


def is_good(label: object) -> bool | None:
    """What a label says of an answer; None where it says neither good nor bad."""
    if isinstance(label, str):
        label = label.strip().casefold()
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if not isinstance(label, bool | int | str):
        return None
    return True if label in _GOOD else False if label in _BAD else None


def ranked(answers: object, scores: object) -> list[tuple[float, str]]:
    """Answers with their scores, or in their order where they have none, the best first.

    Answers are texts beside a list of scores, or objects with text and score or rank.
    """
    if not isinstance(answers, list) or len(answers) < 2:
        return []
    texts = [_answer_in(one) for one in answers]
    if not all(texts):
        return []
    marks = scores if isinstance(scores, list) else [_score_in(one) for one in answers]
    if len(marks) != len(texts) or not all(_is_number(mark) for mark in marks):
        return [] if isinstance(scores, list) else _in_order(answers, texts)
    return sorted(zip(marks, texts, strict=True), key=lambda pair: -pair[0])


def _in_order(answers: list[Any], texts: list[str]) -> list[tuple[float, str]]:
    if not all(isinstance(one, str) for one in answers):
        return []
    return [(-float(place), text) for place, text in enumerate(texts)]


def _messages(values: Values, roles: Roles) -> list[Message]:
    if "messages" in roles:
        column = roles["messages"]
        return chat(messages_in(fields.at(values, column)), column)
    if "chosen" in roles:
        return _chosen(values, roles)
    if "answers" in roles:
        return [*_asked(values, roles), message("assistant", _best(values, roles))]
    if "label" in roles:
        good = is_good(fields.at(values, roles["label"]))
        if good is None:
            raise BadRow(f"has neither good nor bad in “{roles['label']}”", "Write true or false.")
        if not good:
            raise Passed("is marked as a bad answer")
    return [*_asked(values, roles), *_answered(values, roles)]


def _asked(values: Values, roles: Roles) -> list[Message]:
    """History, prompt and input, as messages that end with what is asked."""
    column = roles["prompt"]
    value = fields.at(values, column)
    if found := as_messages(value) or (transcript(value) if isinstance(value, str) else []):
        asked = chat(found, column)
    else:
        asked = [message("user", fields.text_in(values, column))]
    more = fields.at(values, roles["input"]) if "input" in roles else None
    first = next((one for one in asked if one["role"] == "user"), None)
    if first and isinstance(more, str) and more.strip():
        first["content"] += f"\n\n{clean(more)}"
    return [*_history(values, roles), *asked]


def _answered(values: Values, roles: Roles, role: str = "completion") -> list[Message]:
    column = roles[role]
    if found := as_messages(fields.at(values, column)):
        return chat(found, column)
    return [message("assistant", fields.text_in(values, column))]


def _history(values: Values, roles: Roles) -> list[Message]:
    """Earlier rounds: a list of [question, answer], or messages."""
    value = fields.at(values, roles["history"]) if "history" in roles else None
    if not value:
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _no_history(roles) from None
    if found := as_messages(value):
        return chat(found, roles["history"])
    if not isinstance(value, list) or not all(isinstance(r, list) and len(r) == 2 for r in value):
        raise _no_history(roles)
    return [
        message(role, said)
        for pair in value
        for role, said in zip(("user", "assistant"), pair, strict=True)
    ]


def _no_history(roles: Roles) -> BadRow:
    return BadRow(
        f"has no rounds of question and answer in “{roles['history']}”",
        'Write [["question", "answer"], …].',
    )


def _chosen(values: Values, roles: Roles) -> list[Message]:
    """The preferred answer behind its prompt, unless it brings the whole conversation."""
    value = fields.at(values, roles["chosen"])
    if isinstance(value, str) and (found := transcript(value)):
        return chat(found, roles["chosen"])
    answer = _answered(values, roles, "chosen")
    if "prompt" not in roles or any(one["role"] == "user" for one in answer):
        return answer
    return [*_asked(values, roles), *answer]


def _is_text(values: Values, column: str) -> bool:
    """Whether a preferred answer without a prompt is a text, and no transcript of a chat."""
    value = fields.at(values, column)
    return isinstance(value, str) and not as_messages(value) and not transcript(value)


def _best(values: Values, roles: Roles) -> str:
    scores = fields.at(values, roles["scores"]) if "scores" in roles else None
    found = ranked(fields.at(values, roles["answers"]), scores)
    if not found:
        raise BadRow(f"has no ranked answers in “{roles['answers']}”", "Give each answer a score.")
    return found[0][1]


def _answer_in(one: object) -> str:
    if isinstance(one, Mapping):
        keys = ("text", "response", "answer", "content", "completion", "output")
        one = next((one[key] for key in keys if isinstance(one.get(key), str)), "")
    return one if isinstance(one, str) else ""


def _score_in(one: object) -> float | None:
    """A score, of which more is better, or a rank, of which less is."""
    if not isinstance(one, Mapping):
        return None
    for key in ("score", "overall_score", "rating", "reward", "pm_score", "votes"):
        if _is_number(one.get(key)):
            return float(one[key])
    return -float(one["rank"]) if _is_number(one.get("rank")) else None


def _is_number(value: object) -> bool:
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return whole and math.isfinite(value)  # type: ignore[arg-type]


def _tools(values: Values, roles: Roles) -> tuple[Any, ...]:
    value = fields.at(values, roles["tools"]) if "tools" in roles else None
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            value = [value]
    if not value:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise BadRow(f"has no list of tools in “{roles['tools']}”", "Write a list of objects.")
    return tuple(plain(value))


def _tokens(values: Values, roles: Roles) -> Sample:
    ids = _numbers(values, roles["input_ids"], 0)
    labels = ids
    if "labels" in roles and fields.at(values, roles["labels"]) is not None:
        labels = _numbers(values, roles["labels"], UNTRAINED)
    if len(labels) != len(ids):
        raise BadRow(f"has {len(labels)} labels for {len(ids)} token ids", "Give each id one.")
    if "attention_mask" in roles and fields.at(values, roles["attention_mask"]) is not None:
        mask = _numbers(values, roles["attention_mask"], 0)
        if len(mask) != len(ids):
            raise BadRow(f"has a mask of {len(mask)} for {len(ids)} token ids", "Give each id one.")
        kept = [place for place, seen in enumerate(mask) if seen]
        ids, labels = [ids[i] for i in kept], [labels[i] for i in kept]
    if not ids:
        raise BadRow("holds no token", "Delete the row.")
    return Sample(ids=tuple(ids), labels=tuple(labels))


def _numbers(values: Values, column: str, least: int) -> list[int]:
    value = fields.at(values, column)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    whole = isinstance(value, list) and all(
        type(one) is int and least <= one < _LARGEST_ID for one in value
    )
    if not whole:
        raise BadRow(f"has no list of token ids in “{column}”", "Write whole numbers from 0 on.")
    found: list[int] = value
    return found
