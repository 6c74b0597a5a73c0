"""What a run made, published whole: an adapter in PEFT's format, or a model folder."""

from __future__ import annotations

from pathlib import Path

import msgspec
from peft import PeftModel
from transformers import PreTrainedModel

from studio.engine import card, load
from studio.engine.checkpoint import Progress
from studio.engine.job import Context
from studio.engine.setup import Setup
from studio.library import adapters
from studio.library.files import (
    add_folder,
    same_files,
    sweep_abandoned,
    whole_folder,
    write_whole,
)
from studio.library.folders import JobFolder, legal_name

_RESULT = "result.json"


def publish(setup: Setup, context: Context, name: str, progress: Progress) -> dict[str, str | None]:
    """Put the trained adapter or model into the library; its path under "adapter" or "model"."""
    if isinstance(setup.model, PeftModel):
        _write_adapter(setup, context.folder.adapter, progress)
        path = adapters.add(
            context.home, context.folder.adapter, name, _facts(setup, context, progress)
        )
        return {"adapter": str(path), "model": None}
    title = legal_name(name, "model")
    path = add_folder(
        context.home.models, title, lambda folder: _write_model(setup, folder, progress), _same
    )
    return {"adapter": None, "model": str(path)}


def remember(folder: JobFolder, result: dict[str, object]) -> None:
    """Write result.json: from here on the run is finished, though nobody has heard it yet."""
    write_whole(folder.path / _RESULT, msgspec.json.encode(result))


def remembered(folder: JobFolder) -> dict[str, object] | None:
    """The result of a run whose engine died before it could say it; None of any other run.

    What was published and is gone since then has to be published again.
    """
    try:
        content = (folder.path / _RESULT).read_bytes()
        result = msgspec.json.decode(content, type=dict[str, object])
    except (OSError, msgspec.MsgspecError):
        return None
    place = result.get("adapter") or result.get("model")
    return result if isinstance(place, str) and Path(place).is_dir() else None


def clear_up(context: Context) -> None:
    """Delete what engines that were killed while publishing left behind."""
    for folder in (context.folder.path, context.home.adapters, context.home.models):
        sweep_abandoned(folder)


def _write_adapter(setup: Setup, target: Path, progress: Progress) -> None:
    assert isinstance(setup.model, PeftModel)
    with whole_folder(target) as folder:
        setup.model.save_pretrained(str(folder), save_embedding_layers=False)
        setup.tokenizer.save_pretrained(folder)
        write_whole(folder / "README.md", card.text(setup, progress))


def _write_model(setup: Setup, folder: Path, progress: Progress) -> None:
    """The whole model in the format its base was stored in."""
    assert isinstance(setup.model, PreTrainedModel)
    model = setup.model.to(load.stored_dtype(setup.model_folder))  # type: ignore[arg-type]
    model.save_pretrained(folder)
    setup.tokenizer.save_pretrained(folder)
    write_whole(folder / "README.md", card.text(setup, progress))


def _same(new: Path, standing: Path) -> bool:
    """Whether this model was published before, by an engine that died before saying so."""
    return all(same_files(new, standing, names) for names in ("*.safetensors", "config.json"))


def _facts(setup: Setup, context: Context, progress: Progress) -> adapters.AdapterFacts:
    return adapters.AdapterFacts(
        base=str(setup.model_folder),
        base_digest=setup.facts.digest,
        base_told=adapters.told(setup.facts),
        method=setup.recipe.method,
        dataset=", ".join(part.path for part in setup.recipe.dataset),
        train_loss=progress.train_loss,
        eval_loss=progress.eval_loss,
        run=context.folder.path.name,
    )
