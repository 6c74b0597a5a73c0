"""Recognising what the columns of a dataset mean, with a stated confidence and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.preparer import fields, shape_list
from studio.preparer.chats import as_messages, dialect
from studio.preparer.formats import About
from studio.preparer.samples import is_good, messages_in, ranked
from studio.preparer.shape_list import SHAPES, Shape

LOOKED_AT = 200
LEAST = 0.4
"""Confidence below which a shape isn't taken."""
ROLES = (
    "messages", "prompt", "input", "completion", "system", "text", "history", "tools", "chosen",
    "rejected", "label", "answers", "scores", "input_ids", "labels", "attention_mask",
)  # fmt: skip
_SAME_ROLE = {
    "conversations": "messages", "instruction": "prompt", "question": "prompt",
    "output": "completion", "response": "completion", "answer": "completion",
}  # fmt: skip
_LONGEST_CLASS = 60
_MOST_COLUMNS = 500
_SPOKEN = {
    "input_ids": "token ids", "labels": "labels", "attention_mask": "mask", "class": "class",
    "chosen": "preferred answer", "rejected": "rejected answer", "label": "mark of good or bad",
    "answers": "answers to choose from",
}  # fmt: skip
Rows = Sequence[Mapping[str, Any]]


class Recognition(msgspec.Struct, frozen=True):
    """What a dataset is. `roles` says which column plays which of ROLES, `learnt` what of it is
    learnt, `alternatives` what else it might be, the likeliest first."""

    format: str
    confidence: float
    reason: str
    roles: dict[str, str]
    learnt: str = ""
    usable: bool = True
    alternatives: tuple[Recognition, ...] = ()


class Unrecognised(StudioError):
    """The columns, which are known, don't say what is to be learnt from them.

    Whoever opened the file adds what it is, and which of several datasets.
    """

    def __init__(
        self,
        title: str,
        text: str,
        fix: str,
        columns: Sequence[str],
        recognition: Recognition | None = None,
    ) -> None:
        super().__init__(title, text, fix)
        self.columns = tuple(columns)
        self.recognition = recognition
        self.about: About | None = None
        self.place: int | None = None


def columns_of(rows: Rows) -> tuple[str, ...]:
    """The columns of these rows, with the paths into those that hold objects."""
    return fields.paths(rows)[:_MOST_COLUMNS]


def recognise(rows: Rows, columns: Mapping[str, str]) -> Recognition:
    """The shape of these first rows, or the mapping that the recipe gives.

    Raises Unrecognised where no shape fits or the mapping names what is not there.
    """
    names = columns_of(rows)
    if columns:
        return _mapped(names, columns)
    found = sorted(_candidates(rows), key=lambda one: -one.confidence)
    known = [one for one in found if one.confidence >= LEAST]
    if not known:
        top = [name for name in names if any(name in row for row in rows)]
        raise Unrecognised(
            "Columns not recognised",
            f"None of the columns ({_listed(top)}) is known to hold messages, a prompt and its "
            "completion, or text.",
            "Say which column is which: messages; or prompt and completion; or text.",
            names,
        )
    best = msgspec.structs.replace(known[0], alternatives=tuple(_others(known)))
    if not best.usable:
        raise _no_use(best, names)
    return best


def _candidates(rows: Rows) -> Iterator[Recognition]:
    for shape in SHAPES:
        if (found := _fits(shape, rows)) is not None:
            yield found
    yield from _by_content(rows)


def _others(found: Sequence[Recognition]) -> Iterator[Recognition]:
    seen = [found[0].roles]
    for one in found[1:]:
        if one.roles not in seen and len(seen) < 4:
            seen.append(one.roles)
            yield one


def _fits(shape: Shape, rows: Rows) -> Recognition | None:
    by_name = {_folded(name): name for row in reversed(rows) for name in reversed(list(row))}
    roles: dict[str, str] = {}
    for role, candidates in {**shape.needed, **shape.extra}.items():
        free = (by_name[c] for c in candidates if c in by_name)
        column = next((name for name in free if name not in roles.values()), None)
        if column is None and role in shape.needed:
            return None
        if column is not None and (role in shape.needed or _any(rows, column, role)):
            roles[role] = column
    if shape.name == "classification" and not _are_classes(rows, roles["class"]):
        return None
    held = sum(all(_holds(role, row, roles) for role in shape.needed) for row in rows)
    reason = f"{_spoken(roles)} in {held} of the first {len(rows)} rows."
    confidence = shape.sureness * held / len(rows)
    name = _name(shape, rows, roles)
    return Recognition(name, confidence, reason, roles, shape.learnt, shape.usable)


def _by_content(rows: Rows) -> Iterator[Recognition]:
    """What columns of any name hold: a chat, or the only text there is."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names[:50]:
        held = sum(bool(as_messages(row.get(name))) for row in rows)
        if held:
            reason = f"“{name}” holds lists of messages in {held} of the first {len(rows)} rows."
            share, roles = held / len(rows), {"messages": name}
            learnt = shape_list.ASSISTANT
            yield Recognition("chat messages", 0.75 * share, reason, roles, learnt)
    if len(names) == 1:
        texts = [str(row[names[0]]) for row in rows if isinstance(row.get(names[0]), str)]
        held = sum(len(text.split()) > 2 for text in texts)
        reason = f"“{names[0]}” is the only column; it holds text in {held} of {len(rows)} rows."
        roles = {"text": names[0]}
        yield Recognition("plain text", 0.6 * held / len(rows), reason, roles, shape_list.TEXT)


def _name(shape: Shape, rows: Rows, roles: Mapping[str, str]) -> str:
    """ShareGPT is told from other chats by its messages' fields, not by the column's name."""
    if "messages" not in roles:
        return shape.name
    named = (dialect(row.get(roles["messages"])) for row in rows)
    return "ShareGPT" if next(filter(None, named), "") == "from" else "chat messages"


def _mapped(names: Sequence[str], columns: Mapping[str, str]) -> Recognition:
    roles = {_SAME_ROLE.get(role, role): column for role, column in columns.items()}
    unknown = [role for role in roles if role not in ROLES]
    wanted = [name for column in roles.values() for name in _wanted(names, column)]
    missing = [name for name in wanted if not fields.has(names, name)]
    learnt = _learnt(roles)
    if unknown:
        problem = f"“{unknown[0]}” is nothing that a column can be."
    elif missing:
        problem = f"There is no column “{missing[0]}”; the columns are {_listed(names)}."
    elif not learnt:
        problem = "The mapping names neither messages, nor prompt and completion, nor text."
    else:
        reason = "As the recipe maps the columns."
        return Recognition("mapped columns", 1.0, reason, roles, learnt)
    fix = f"Map columns to {_listed(ROLES)}."
    raise Unrecognised("Column mapping doesn't fit", problem, fix, names)


def _wanted(names: Sequence[str], column: str) -> list[str]:
    return [column] if column in names else fields.named_in(column)


def _learnt(roles: Mapping[str, str]) -> str:
    """What a mapping teaches; nothing where it lacks a role."""
    said = (
        ({"input_ids"}, shape_list.TOKENS),
        ({"text"}, shape_list.TEXT),
        ({"messages"}, shape_list.ASSISTANT),
        ({"chosen"}, shape_list.CHOSEN),
        ({"prompt", "answers"}, shape_list.BEST),
        ({"prompt", "completion", "label"}, shape_list.GOOD),
        ({"prompt", "completion"}, shape_list.COMPLETION),
    )
    return next((words for needed, words in said if needed <= set(roles)), "")


def _no_use(best: Recognition, names: Sequence[str]) -> Unrecognised:
    text, label = best.roles["text"], best.roles["class"]
    return Unrecognised(
        "Rows with classes",
        f"“{text}” holds texts and “{label}” their classes, which are no answers to learn.",
        f"To have the class said as the answer, map prompt to “{text}” and completion to "
        f"“{label}”; to learn the texts alone, map text to “{text}”.",
        names,
        best,
    )


def _holds(role: str, row: Mapping[str, Any], roles: Mapping[str, str]) -> bool:
    value = row.get(roles[role])
    if role == "messages":
        return bool(messages_in(value))
    if role in ("input_ids", "labels", "attention_mask"):
        whole = isinstance(value, list) and bool(value)
        return whole and all(type(one) is int for one in value)  # type: ignore[union-attr]
    if role == "label":
        return is_good(value) is not None
    if role == "class":
        return isinstance(value, int | str)
    if role == "answers":
        return bool(ranked(value, row.get(roles.get("scores", ""))))
    if role == "completion":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        texts = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
        return number or bool(texts) or isinstance(value, str) or bool(as_messages(value))
    return isinstance(value, str) or bool(as_messages(value))


def _any(rows: Rows, column: str, role: str) -> bool:
    """Whether a column that may play a role has anything to play it with."""
    kinds = (str, list, dict) if role != "system" else (str,)
    return any(isinstance(row.get(column), kinds) for row in rows)


def _are_classes(rows: Rows, column: str) -> bool:
    """Few short values, which come back; not as many as there are rows."""
    values = [row.get(column) for row in rows]
    short = [v for v in values if isinstance(v, int) or _is_short(v)]
    return len(short) * 10 >= len(values) * 9 and len(set(short)) <= max(2, len(values) // 2)


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_CLASS


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _spoken(roles: Mapping[str, str]) -> str:
    parts = [f"“{column}” holds the {_SPOKEN.get(role, role)}" for role, column in roles.items()]
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names[:12]) or "none"
