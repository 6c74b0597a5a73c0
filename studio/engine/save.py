"""What a run made, published whole: an adapter in PEFT's format, or a model folder."""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel

from studio.engine import card, load
from studio.engine.checkpoint import Progress
from studio.engine.job import Context
from studio.engine.setup import Setup
from studio.library import adapters
from studio.library.files import whole_folder, write_whole
from studio.library.folders import free_path, legal_name


def publish(setup: Setup, context: Context, name: str, progress: Progress) -> dict[str, str | None]:
    """Put the trained adapter or model into the library; its path under "adapter" or "model"."""
    if isinstance(setup.model, PeftModel):
        write_adapter(setup, context.folder.adapter, progress)
        path = adapters.add(
            context.home, context.folder.adapter, name, _facts(setup, context, progress)
        )
        return {"adapter": str(path), "model": None}
    path = free_path(context.home.models, legal_name(name, "model"))
    write_model(setup, path, progress)
    return {"adapter": None, "model": str(path)}


def write_adapter(setup: Setup, target: Path, progress: Progress) -> None:
    """The adapter, its tokenizer and its card as `target`."""
    assert isinstance(setup.model, PeftModel)
    with whole_folder(target) as folder:
        setup.model.save_pretrained(str(folder), save_embedding_layers=False)
        setup.tokenizer.save_pretrained(folder)
        write_whole(folder / "README.md", card.text(setup, progress))


def write_model(setup: Setup, target: Path, progress: Progress) -> None:
    """The whole model as `target`, in the format its base was stored in."""
    assert isinstance(setup.model, PreTrainedModel)
    model = setup.model.to(load.stored_dtype(setup.model_folder))  # type: ignore[arg-type]
    with whole_folder(target) as folder:
        model.save_pretrained(folder)
        setup.tokenizer.save_pretrained(folder)
        write_whole(folder / "README.md", card.text(setup, progress))


def _facts(setup: Setup, context: Context, progress: Progress) -> adapters.AdapterFacts:
    return adapters.AdapterFacts(
        base=str(setup.model_folder),
        base_digest=setup.facts.digest,
        method=setup.recipe.method,
        dataset=", ".join(part.path for part in setup.recipe.dataset),
        train_loss=progress.train_loss,
        eval_loss=progress.eval_loss,
        run=context.folder.path.name,
    )
