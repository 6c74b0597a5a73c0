"""The loss on rows that are never learnt from."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from studio.engine.data import Rows
from studio.engine.setup import Setup

_SAY_EVERY_SECONDS = 2.0


def loss_on(
    setup: Setup, rows: Rows, listen: Callable[[], None], say: Callable[[float], None]
) -> float:
    """Mean loss in nats of all trained tokens of these rows; nan without any.

    The model is in evaluation mode meanwhile; `say` hears now and then which share is done.
    `listen` is called before each batch and may raise to break it off.
    """
    batches = setup.task.batches(
        [rows[index] for index in range(len(rows))],
        tokens=setup.decided.evaluation_tokens or setup.decided.micro_batch_tokens,
        packed=setup.decided.packing,
    )
    total, trained, said = 0.0, 0, time.monotonic()
    setup.model.eval()
    try:
        with torch.no_grad():
            for place, batch in enumerate(batches):
                listen()
                if time.monotonic() - said > _SAY_EVERY_SECONDS:
                    say(place / len(batches))
                    said = time.monotonic()
                with setup.autocast():
                    total += float(setup.task.loss_sum(batch))
                trained += batch.trained
    finally:
        setup.model.train()
    return total / trained if trained else float("nan")


def answers(setup: Setup) -> list[tuple[str, str]]:
    """What the model answers now to the recipe's fixed prompts."""
    setup.model.eval()
    try:
        with setup.autocast():
            return [(prompt, setup.task.preview(prompt)) for prompt in setup.recipe.sample_prompts]
    finally:
        setup.model.train()
