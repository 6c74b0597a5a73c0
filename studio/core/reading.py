"""From plain data, as YAML gives it, to a recipe: every mistake at once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    LoraPart,
    ModelPart,
    Part,
    Recipe,
    TrainingPart,
)
from studio.core.upgrades import upgrade

NESTED: dict[str, type[Part]] = {"lora": LoraPart, "data": DataPart, "training": TrainingPart}
MISSING = {
    "model": Problem(
        field="model",
        text="The recipe names no model.",
        fix="Add “model: starter”, or the folder or hub id of a model.",
    ),
    "dataset": Problem(
        field="dataset",
        text="The recipe names no dataset.",
        fix="Add “dataset: sample”, or the path of a file with your rows.",
    ),
}

KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
SHAPES = (
    ("dict", "pairs of a role and a column"),
    ("str | tuple", "text or a list of texts"),
    ("tuple", "a list of texts"),
    ("", "text"),
)
# what other programs call the same things
SYNONYMS = {
    "lr": "learning_rate",
    "r": "rank",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "micro_batch_size",
    "max_seq_length": "max_length",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "base_model": "model",
    "data": "dataset",
}


def read(data: object) -> tuple[Recipe | None, list[Problem]]:
    """The recipe of plain data, or None and every problem, fields named as training.epochs."""
    recipe, problems = read_leniently(data)
    return (None if problems else recipe), problems


def read_leniently(data: object) -> tuple[Recipe | None, list[Problem]]:
    """As `read`, but a field that can't be used gets its default, so that the rest can be checked.

    A missing model has the path "", missing datasets are none. None only where the data is no
    recipe at all.
    """
    if not isinstance(data, dict):
        return None, [_no_mapping(data)]
    try:
        upgraded = upgrade(data)
    except StudioError as error:
        return None, [Problem(field="version", text=error.text, fix=error.fix)]
    problems: list[Problem] = []
    values = _struct(Recipe, upgraded, "", problems)
    return Recipe(**values), problems


def _no_mapping(data: object) -> Problem:
    found = "is empty" if data is None else f"is {_kind(data)}"
    return Problem(
        field="",
        text=f"A recipe is a list of “field: value” lines; this {found}.",
        fix="Start from “model: starter”, “dataset: sample” and “method: lora”, each on its line.",
    )


@cache
def _hints(part: type[Part]) -> dict[str, Any]:
    """The types of a part's fields, with their bounds."""
    return get_type_hints(part, include_extras=True)


def _struct(
    part: type[Part], data: dict[Any, Any], prefix: str, problems: list[Problem]
) -> dict[str, Any]:
    """The usable values of one part by field name."""
    hints = _hints(part)
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in hints:
            problems.append(_unknown(str(key), prefix, hints))
        elif (read := _field(part, key, hints[key], value, prefix, problems)) is not None:
            values[key] = read
    if part is Recipe:
        _fill_missing(values, data, problems)
    return values


def _fill_missing(values: dict[str, Any], data: dict[Any, Any], problems: list[Problem]) -> None:
    for key in MISSING:
        if data.get(key) in (None, "", [], {}):
            problems[:] = [p for p in problems if p.field.split(".")[0] != key]
            problems.append(MISSING[key])
    values.setdefault("model", ModelPart(path=""))
    values.setdefault("dataset", ())


def _field(
    part: type[Part], key: str, hint: Any, value: Any, prefix: str, problems: list[Problem]
) -> Any:
    name = f"{prefix}{key}"
    if part is Recipe and key in NESTED:
        return _nested(NESTED[key], value, name, problems)
    if part is Recipe and key == "model":
        return _source(ModelPart, value, name, problems)
    if part is Recipe and key == "dataset":
        return _datasets(value, name, problems)
    return _leaf(hint, value, name, problems)


def _nested(part: type[Part], value: Any, name: str, problems: list[Problem]) -> Part | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        fix = f"Put the settings of “{name}” on lines of their own below it, indented."
        problems.append(Problem(field=name, text=_wrong(name, "a group of fields", value), fix=fix))
        return None
    return part(**_struct(part, value, f"{name}.", problems))


def _source(
    part: type[ModelPart] | type[DatasetPart], value: Any, name: str, problems: list[Problem]
) -> ModelPart | DatasetPart | None:
    """A model or dataset, from its path alone or from its fields."""
    if isinstance(value, str) and value:
        return part(path=value)
    if not isinstance(value, dict):
        wanted = "a path or hub id, or fields with a path among them"
        fix = f"Write “{name}: PATH”."
        problems.append(Problem(field=name, text=_wrong(name, wanted, value), fix=fix))
        return None
    values = _struct(part, value, f"{name}.", problems)
    if values.get("path"):
        return part(**values)
    if not any(problem.field == f"{name}.path" for problem in problems):
        problems.append(
            Problem(
                field=f"{name}.path",
                text=f"“{name}” has no path.",
                fix=f"Add “path: …” below “{name}”.",
            )
        )
    return None


def _datasets(value: Any, name: str, problems: list[Problem]) -> tuple[DatasetPart, ...] | None:
    several = value if isinstance(value, list) else [value]
    names = [f"{name}[{i}]" for i in range(len(several))] if len(several) > 1 else [name]
    parts = [_source(DatasetPart, *pair, problems) for pair in zip(several, names, strict=False)]
    return tuple(part for part in parts if isinstance(part, DatasetPart))


def _leaf(hint: Any, value: Any, name: str, problems: list[Problem]) -> Any:
    if value is None:
        return None
    try:
        read = msgspec.convert(_as_meant(hint, value), hint)
    except msgspec.ValidationError:
        read = None
    if read is None or (isinstance(read, float) and not math.isfinite(read)):
        text = _wrong(name, _wanted(hint), value)
        problems.append(Problem(field=name, text=text, fix=_how(name, hint, value)))
        return None
    return read


def _as_meant(hint: Any, value: Any) -> Any:
    """What YAML 1.1 reads otherwise than people write: 2e-4 is text to it, yes is true."""
    choices = _choices(hint)
    if _listed(hint) and isinstance(value, str):
        return [value]
    if choices and isinstance(value, bool):
        return "yes" if value else "no"
    if (choices or hint is str) and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if kind is float and isinstance(value, str):
        return _number(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _choices(hint: Any) -> tuple[str, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()


def _listed(hint: Any) -> tuple[str, ...]:
    """What may stand in a list of choices."""
    return _choices(get_args(hint)[0]) if get_origin(hint) is tuple else ()


def _unknown(key: str, prefix: str, hints: dict[str, Any]) -> Problem:
    name = f"{prefix}{key}"
    nearest = _nearest(key, prefix, hints)
    fix = f"Did you mean “{nearest}”?" if nearest else f"Remove “{name}”."
    return Problem(field=name, text=f"A recipe has no field “{name}”.", fix=fix)


def _nearest(key: str, prefix: str, hints: dict[str, Any]) -> str | None:
    """The known field most like this one, in its own part before all others."""
    key = SYNONYMS.get(key, key)
    if close := difflib.get_close_matches(key, hints, n=1):
        return f"{prefix}{close[0]}"
    known = {
        field: f"{part}.{field}" for part, of in NESTED.items() for field in of.__struct_fields__
    }
    known |= {field: field for field in Recipe.__struct_fields__}
    close = difflib.get_close_matches(key, known, n=1)
    return known[close[0]] if close else None


def _wrong(name: str, wanted: str, value: Any) -> str:
    return f"“{name}” must be {wanted}, not {_shown(value)}."


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return _kind(value)
    text = str(value)
    return f"“{text if len(text) <= 40 else text[:39] + '…'}”"


def _kind(value: object) -> str:
    names = {dict: "a group of fields", list: "a list", str: "text", bool: "yes or no"}
    return names.get(
        type(value), "a number" if isinstance(value, int | float) else "something else"
    )


def _wanted(hint: Any) -> str:
    if choices := _choices(hint):
        return f"one of {', '.join(choices)}"
    if choices := _listed(hint):
        return f"a list of some of {', '.join(choices)}"
    kind, limits = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    words = KINDS.get(kind) or next(said for shape, said in SHAPES if shape in str(kind))
    return words + (_limits(limits) if limits else "")


def _limits(meta: msgspec.Meta) -> str:
    words: list[tuple[Any, Callable[[Any], str]]] = [
        (meta.ge, lambda v: f"of at least {v}"),
        (meta.gt, lambda v: f"above {v}"),
        (meta.lt, lambda v: f"below {v}"),
        (meta.le, lambda v: f"of at most {v}"),
    ]
    said = [say(value) for value, say in words if value is not None]
    return " " + " and ".join(said) if said else ""


def _how(name: str, hint: Any, value: Any) -> str:
    choices = _choices(hint) or _listed(hint)
    meant = _first_wrong(value, choices)
    close = difflib.get_close_matches(meant, choices, n=1) if choices else []
    if close:
        return f"Did you mean “{close[0]}”?"
    return f"Write {_wanted(hint)}, or leave “{name.rsplit('.', 1)[-1]}” out for its default."


def _first_wrong(value: Any, choices: tuple[str, ...]) -> str:
    said = value if isinstance(value, list) else [value]
    return next((str(one) for one in said if one not in choices), "")
