"""The model card: what was trained from what, in numbers that were measured."""

from __future__ import annotations

from pathlib import Path

import yaml

from studio.engine.checkpoint import Progress
from studio.engine.setup import Setup

_METHODS = {"full": "Full fine-tuning", "lora": "LoRA", "qlora": "QLoRA (NF4, double quantization)"}


def text(setup: Setup, progress: Progress) -> str:
    """README.md of an adapter or model."""
    return f"---\n{yaml.safe_dump(_head(setup), sort_keys=False)}---\n\n{_body(setup, progress)}"


def _head(setup: Setup) -> dict[str, object]:
    head: dict[str, object] = {"base_model": _base(setup), "library_name": "peft"}
    if setup.recipe.method == "full":
        head["library_name"] = "transformers"
    if setup.facts.licence:
        head["license"] = setup.facts.licence
    return head | {"pipeline_tag": "text-generation", "tags": ["finetune-studio"]}


def _body(setup: Setup, progress: Progress) -> str:
    recipe, training = setup.recipe, setup.recipe.training
    datasets = ", ".join(Path(part.path).name for part in recipe.dataset)
    facts = {
        "Base model": _base(setup),
        "Licence of the base": setup.facts.licence or "not stated",
        "Method": _METHODS[recipe.method],
        **_adapter(setup),
        "Dataset": f"{datasets}: {len(setup.train_rows)} rows to learn from, "
        f"{len(setup.eval_rows)} held out",
        "Steps": f"{progress.step} of {training.batch_size} rows, {progress.tokens} tokens",
        "Learning rate": f"{setup.decided.learning_rate:g}, {training.scheduler}",
        "Loss, last step": _loss(progress.train_loss),
        "Loss, held-out rows": _loss(progress.eval_loss),
        "Computed in": setup.decided.dtype,
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"# {recipe.name or _base(setup)}\n\n| | |\n|---|---|\n{rows}\n"


def _adapter(setup: Setup) -> dict[str, str]:
    lora = setup.recipe.lora
    if setup.recipe.method == "full":
        return {}
    targets = lora.target_modules
    names = targets if isinstance(targets, str) else ", ".join(targets)
    return {"Adapter": f"rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g}, {names}"}


def _base(setup: Setup) -> str:
    return setup.facts.name or setup.model_folder.name


def _loss(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
