"""The whole path on the starter model: fetch, train, score, chat, merge."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from studio.client.actions.chatting import open_chat
from studio.client.actions.jobs import Asked, Hear, Progress
from studio.client.actions.merging import free_out, merge
from studio.client.actions.runs import follow_run, start_run
from studio.client.actions.scoring import score
from studio.client.actions.starter import download_starter
from studio.client.keeper import Keeper, Orders
from studio.core.errors import StudioError
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    LoraPart,
    ModelPart,
    Recipe,
    TrainingPart,
)
from studio.library import datasets, models
from studio.library.folders import Home, free_path

PROMPT = "Could you post the velvet scarf to Ravi? It is order 274."


def recipe() -> Recipe:
    """LoRA on the starter model, sized so that two processor cores need a few minutes."""
    return Recipe(
        name="quickstart",
        model=ModelPart(path=models.STARTER),
        dataset=(DatasetPart(path=datasets.SAMPLE),),
        method="lora",
        lora=LoraPart(rank=16, alpha=32.0),
        data=DataPart(max_length=128, eval_share=0.05),
        training=TrainingPart(epochs=1.0, batch_size=8, learning_rate=5e-4),
    )


def quickstart(
    home: Home,
    out: Path | None = None,
    *,
    keeper: Keeper,
    progress: Progress,
    hear: Hear | None = None,
    orders: Orders | None = None,
    cancelled: Asked | None = None,
    settings: Recipe | None = None,
) -> dict[str, Any]:
    """Everything once, for real; metric_before, metric_after, run, adapter, merged and more.

    Without `out` the merged model goes into the studio's models folder. A run that the user stops
    is kept, scored and merged as it is.
    """
    started = time.monotonic()
    wanted = settings or recipe()
    target = free_out(home, out) if out else None
    if wanted.model.path == models.STARTER:
        download_starter(home, keeper=keeper, progress=progress, cancelled=cancelled)
    run = start_run(home, wanted, keeper=keeper, progress=progress, cancelled=cancelled)
    ended = follow_run(keeper, run, hear=hear, orders=orders, given_up=cancelled or (lambda: False))
    trained = ended.result("The run")
    adapter, model = _adapter(trained), models.resolve(home, wanted.model)
    progress("Scoring the held-out rows", None)
    rows = datasets.score_rows(wanted.dataset[0])
    if rows is None:
        raise StudioError("No rows to score with", "This dataset brings no held-out rows.")
    scored = score(home, model, rows, adapter, keeper=keeper, hear=hear, orders=orders)
    progress("Asking the bare model and the adapter", None)
    answers = _ask(home, keeper, model, adapter, hear)
    progress("Merging the adapter into the model", None)
    target = target or free_path(home.models, f"{model.name}-{run.name}")
    merged = merge(home, adapter, target, keeper=keeper, hear=hear, orders=orders)
    return {
        **_scores(scored),
        "run": str(run),
        "adapter": str(adapter),
        "merged": merged["path"],
        "passport": merged.get("passport"),
        **{key: trained.get(key) for key in ("train_loss", "eval_loss", "tokens_per_second")},
        "prompt": PROMPT,
        "answer_before": answers[0],
        "answer_after": answers[1],
        "seconds": round(time.monotonic() - started, 1),
    }


def _scores(scored: dict[str, Any]) -> dict[str, Any]:
    """Shares of right answers, and how far the held-out rows are from the training rows."""
    overlap = datasets.sample_overlap()
    return {
        "metric_before": scored["metric_before"],
        "metric_after": scored["metric_after"],
        "rows": scored["rows"],
        "shared_values": overlap.shared_values,
        "new_patterns": overlap.new_patterns,
    }


def _adapter(trained: dict[str, Any]) -> Path:
    if not trained.get("adapter"):
        raise StudioError(
            "No adapter was made",
            "The run ended before its first step, so there is nothing to merge.",
            "Start the quickstart again and let it train.",
        )
    return Path(trained["adapter"])


def _ask(
    home: Home, keeper: Keeper, model: Path, adapter: Path, hear: Hear | None
) -> tuple[str, str]:
    """Answers of the bare model and of the adapter to one note."""
    messages = [{"role": "user", "content": PROMPT}]
    with open_chat(home, model, [adapter], keeper=keeper, hear=hear) as conversation:
        before, after = conversation.say(
            messages, adapters=("", str(adapter)), temperature=0.0, max_new_tokens=64
        )
    return before.text, after.text
