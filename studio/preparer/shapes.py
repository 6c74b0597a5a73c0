"""Recognising what the columns of a dataset mean, with a stated confidence and reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from studio.core.errors import StudioError
from studio.preparer.messages import as_messages

LOOKED_AT = 200
ROLES = ("messages", "prompt", "input", "completion", "system", "text")
_SAME_ROLE = {
    "conversations": "messages", "instruction": "prompt", "question": "prompt",
    "output": "completion", "response": "completion", "answer": "completion",
}  # fmt: skip


class Recognition(msgspec.Struct, frozen=True):
    """What a dataset is. `roles` says which column plays which of ROLES."""

    format: str
    confidence: float
    reason: str
    roles: dict[str, str]


class Unrecognised(StudioError):
    """The columns, which are known, don't say what they hold."""

    def __init__(self, title: str, text: str, fix: str, columns: Sequence[str]) -> None:
        super().__init__(title, text, fix)
        self.columns = tuple(columns)


class Shape(NamedTuple):
    """A known shape: its name, the columns it may have for each role, how sure its names are."""

    name: str
    needed: Mapping[str, tuple[str, ...]]
    extra: Mapping[str, tuple[str, ...]]
    sureness: float


Columns = Mapping[str, tuple[str, ...]]
_SYSTEM: Columns = {"system": ("system", "system_prompt")}
_INPUT: Columns = {"input": ("input", "context"), **_SYSTEM}


def _pair(prompt: str, completion: str) -> Columns:
    return {"prompt": tuple(prompt.split()), "completion": tuple(completion.split())}


SHAPES = (
    Shape("chat messages", {"messages": ("messages",)}, _SYSTEM, 1.0),
    Shape("ShareGPT", {"messages": ("conversations", "conversation")}, _SYSTEM, 1.0),
    Shape("chat messages", {"messages": ("chat", "dialogue", "dialog", "turns")}, _SYSTEM, 0.9),
    Shape("Alpaca", _pair("instruction", "output response"), _INPUT, 1.0),
    Shape("prompt and completion", _pair("prompt", "completion"), _SYSTEM, 1.0),
    Shape("question and answer", _pair("question query q", "answer response a"), _INPUT, 0.95),
    Shape(
        "prompt and completion",
        _pair("prompt user input", "response output assistant target"),
        _SYSTEM,
        0.8,
    ),
    Shape("plain text", {"text": ("text",)}, {}, 1.0),
    Shape("plain text", {"text": ("content", "body", "document", "sentence")}, {}, 0.8),
)


def recognise(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Recognition:
    """The shape of these first rows, or the mapping that the recipe gives.

    Raises Unrecognised where no shape fits or the mapping names what is not there.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if columns:
        return _mapped(names, columns)
    found = [r for shape in SHAPES if (r := _fits(shape, rows, names)) is not None]
    best = max(found, key=lambda r: r.confidence, default=None)
    if best is None or best.confidence < 0.4:
        raise Unrecognised(
            "Columns not recognised",
            f"None of the columns ({_listed(names)}) is known to hold messages, a prompt and its "
            "completion, or text.",
            "Say which column is which: messages; or prompt and completion; or text.",
            names,
        )
    return best


def _fits(
    shape: Shape, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Recognition | None:
    by_lower = {name.casefold(): name for name in reversed(names)}
    roles: dict[str, str] = {}
    for role, candidates in {**shape.needed, **shape.extra}.items():
        column = next((by_lower[c] for c in candidates if c in by_lower), None)
        if column is None and role in shape.needed:
            return None
        if column is not None:
            roles[role] = column
    held = sum(all(_holds(role, row.get(roles[role])) for role in shape.needed) for row in rows)
    reason = f"{_spoken(roles)} in {held} of the first {len(rows)} rows."
    return Recognition(_name(shape, rows, roles), shape.sureness * held / len(rows), reason, roles)


def _name(shape: Shape, rows: Sequence[Mapping[str, Any]], roles: Mapping[str, str]) -> str:
    """ShareGPT is told from other chats by its messages' fields, not by the column's name."""
    if "messages" not in roles:
        return shape.name
    chats = (as_messages(row.get(roles["messages"])) for row in rows)
    first = next((chat[0] for chat in chats if chat), {})
    return "ShareGPT" if "from" in first else "chat messages"


def _mapped(names: Sequence[str], columns: Mapping[str, str]) -> Recognition:
    roles = {_SAME_ROLE.get(role, role): column for role, column in columns.items()}
    unknown = [role for role in roles if role not in ROLES]
    missing = [column for column in roles.values() if column not in names]
    whole = {"messages"} <= set(roles) or {"prompt", "completion"} <= set(roles) or "text" in roles
    if unknown:
        problem = f"“{unknown[0]}” is nothing that a column can be."
    elif missing:
        problem = f"There is no column “{missing[0]}”; the columns are {_listed(names)}."
    elif not whole:
        problem = "The mapping names neither messages, nor prompt and completion, nor text."
    else:
        return Recognition("mapped columns", 1.0, "As the recipe maps the columns.", roles)
    fix = f"Map columns to {_listed(ROLES)}."
    raise Unrecognised("Column mapping doesn't fit", problem, fix, names)


def _holds(role: str, value: object) -> bool:
    return bool(as_messages(value)) or (role != "messages" and isinstance(value, str))


def _spoken(roles: Mapping[str, str]) -> str:
    parts = [f"“{column}” holds the {role}" for role, column in roles.items()]
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names[:12]) or "none"
