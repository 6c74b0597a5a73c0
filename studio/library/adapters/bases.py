"""The base that an adapter belongs on: known by what it holds, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.library import adapter_files, models, settings
from studio.library.adapters import index
from studio.library.adapters.facts import AdapterFacts, BaseTold, facts, last_part
from studio.library.adapters.lineage import change, in_library
from studio.library.folders import Home


class BaseMissing(StudioError):
    """The base isn't found; a person can say where it is."""


def base_of(home: Home, known: AdapterFacts) -> Path:
    """The model folder that this adapter belongs on: by content; by path and name only where its
    content was never recorded.

    A path recorded by somebody else is compared with the models that are there, never opened.
    Raises BaseMissing, with what differs, where no such model is there, and StudioError when the
    only one of that name has other shapes.
    """
    near = [models.inspect(path) for path in _near(home, known)]
    if known.base_digest:
        return _by_content(home, known, near)
    for model in near:
        if not models.errors(model):
            return _fitting(known, Path(model.path))
    here = known_models(home)
    for name in (known.base, known.base_name):
        for model in here:
            if called(model, name):
                return _fitting(known, Path(model.path))
    raise _missing(known, [])


def locate(home: Home, folder: Path, base: Path, *, anyway: bool = False) -> AdapterFacts:
    """Say where the base of an adapter of the library lies now.

    Raises StudioError, with what differs, where that folder isn't the model that the adapter was
    trained on; `anyway` takes another one of the same shapes, which is its base from then on.
    """
    if not in_library(home, folder):
        raise StudioError(
            "Not in the library", f"{folder} isn't an adapter of this library.", "Import it first."
        )
    new = bound(facts(folder), base, anyway=anyway)
    return change(home, folder, lambda _: new)


def bound(known: AdapterFacts, base: Path, *, anyway: bool = False) -> dict[str, Any]:
    """What is recorded of an adapter on this base. Raises StudioError as `locate` does."""
    model = models.inspect(base.expanduser().absolute())
    if found := models.errors(model):
        raise StudioError("The model can't be used", found[0].text, found[0].fix)
    _fitting(known, Path(model.path))
    if known.base_digest and model.digest != known.base_digest and not anyway:
        why = "; ".join(differences(known, model))
        raise StudioError(
            "Another model",
            f"{known.name} was not trained on {model.name}: {why}.",
            "Choose the model that it was trained on.",
        )
    new = {"base_digest": model.digest, "base_told": told(model), "located": model.path}
    return new if known.base else new | {"base": model.name}


def recognised(home: Home, known: AdapterFacts) -> dict[str, Any]:
    """What to record of an adapter that names its base and doesn't say what it holds: the content
    of the one model here that has the name and the shapes; nothing where there is none."""
    fitting = {}
    for model in known_models(home):
        if called(model, known.base) or called(model, known.base_name):
            with suppress(StudioError):
                _fitting(known, Path(model.path))
                fitting[model.digest] = model
    if len(fitting) != 1:
        return {}
    [model] = fitting.values()
    return {"base_digest": model.digest, "base_told": told(model)}


def told(model: ModelFacts) -> BaseTold:
    """What to remember of a base beside its digest."""
    config = model.config.get("text_config") or model.config

    def number(*names: str) -> int:
        return next((v for name in names if isinstance(v := config.get(name), int)), 0)

    return BaseTold(
        model_type=model.model_type,
        layers=number("num_hidden_layers", "n_layer"),
        hidden_size=number("hidden_size", "n_embd"),
        vocabulary=number("vocab_size"),
        parameters=model.parameters,
        dtype=model.dtype,
    )


def differences(known: AdapterFacts, model: ModelFacts) -> list[str]:
    """In what a model differs from the one that the adapter was trained on; nothing where it is
    that one, or where that one isn't known."""
    if not known.base_digest or known.base_digest == model.digest:
        return []
    then, now = known.base_told, told(model)
    found = [
        f"{label} {_shown(new)} here and {_shown(old)} there"
        for label, old, new in (
            ("its kind is", then.model_type, now.model_type),
            ("its layers are", then.layers, now.layers),
            ("its width is", then.hidden_size, now.hidden_size),
            ("its vocabulary is", then.vocabulary, now.vocabulary),
            ("its parameters are", then.parameters, now.parameters),
            ("its weights are stored as", then.dtype, now.dtype),
        )
        if old and old != new
    ]
    return found or ["it has the same shapes, and other weights or settings"]


def trained_elsewhere(folder: Path, base: Path) -> str:
    """A warning where the adapter was trained on another model of the same shapes, else ""."""
    known = facts(folder)
    found = differences(known, models.inspect(base))
    if not found:
        return ""
    return (
        f"{known.name} was trained on {known.base_name or 'another model'}, and {base.name} isn't "
        f"that: {'; '.join(found)}. What comes of it may make no sense."
    )


def known_models(home: Home) -> list[ModelFacts]:
    """The models that can be used: of the studio, the hub's cache, and folders used before."""
    found = models.listing(home)
    seen = {model.path for model in found}
    extra = (Path(path) for path in settings.load(home).recent_models)
    found += [models.inspect(path) for path in extra if str(path) not in seen and path.is_dir()]
    return [model for model in found if not models.errors(model)]


def called(model: ModelFacts, name: str) -> bool:
    """Whether a model goes by this name: its path, its name, or the last part of either."""
    last = last_part(name)
    return bool(name) and (
        name in (model.path, model.name)
        or (name == last and last in (Path(model.path).name, last_part(model.name)))
    )


def _by_content(home: Home, known: AdapterFacts, near: list[ModelFacts]) -> Path:
    """The nearest model with the same content; where none has it, those with its name are said."""
    alike = []
    for group in chain([near], _elsewhere(home, known)):  # looked at no further than needed
        for model in group:
            if model.digest == known.base_digest and not models.errors(model):
                return Path(model.path)
            if model.digest and (group is near or called(model, known.base_name)):
                alike.append(model)
    raise _missing(known, alike)


def _elsewhere(home: Home, known: AdapterFacts) -> Iterator[list[ModelFacts]]:
    """Places to look further: the models here, then where others with this base found it."""
    yield known_models(home)
    others = [row for row in index.read_all(home) if row.base_digest == known.base_digest]
    yield [models.inspect(path) for path in {p for row in others for p in _near(home, row)}]


def _near(home: Home, known: AdapterFacts) -> list[Path]:
    """The folders that this machine's user or engines named as the base."""
    ours = not known.imported and Path(known.path).absolute().is_relative_to(home.root.absolute())
    named = [known.located, known.base if ours else ""]
    return [Path(path) for path in named if path and (Path(path) / "config.json").is_file()]


def _fitting(known: AdapterFacts, base: Path) -> Path:
    adapter_files.check_shapes(Path(known.path), base)
    return base


def _missing(known: AdapterFacts, near: list[ModelFacts]) -> BaseMissing:
    named = known.base_name or "a model it does not name"
    text = f"{known.name} was trained on {named}, which isn't among the models of this machine."
    if near:
        text = (
            f"{known.name} was trained on {named}, and {near[0].path} isn't that model any more: "
            f"{'; '.join(differences(known, near[0]))}."
        )
    return BaseMissing(
        "Base model not here",
        text,
        "Download or import that model, or say where it is: "
        f"finetune-studio adapters locate “{known.name}” --base DIR",
    )


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "unknown")
