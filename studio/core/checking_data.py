"""Checks of a recipe against its rows."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from studio.core.choices import FACTS
from studio.core.facts import DatasetReport, ModelFacts
from studio.core.problem import Problem
from studio.core.recipe import Recipe

FEW_ROWS = 20
SMALL_SET = 2000
MANY_EPOCHS = 5


def check_data(
    recipe: Recipe, model: ModelFacts | None, dataset: DatasetReport | None
) -> Iterator[Problem]:
    """Lengths, batches, epochs and rows; what isn't known isn't judged."""
    yield from _context(recipe, model, dataset)
    if dataset is None:
        return
    for problem in dataset.problems:
        field = problem.field if problem.field.startswith("data") else "dataset"
        yield msgspec.structs.replace(problem, field=field)
    yield from _found(recipe, dataset)
    if dataset.usable_rows:
        yield from _rows(recipe, dataset)
    elif not any(problem.severity == "error" for problem in dataset.problems):
        yield Problem(
            field="dataset",
            text="The dataset has no row that can be trained on.",
            fix="Look at its rows with “finetune-studio dataset FILE”.",
        )


def _context(
    recipe: Recipe, model: ModelFacts | None, dataset: DatasetReport | None
) -> Iterator[Problem]:
    if model is None or not 0 < model.context_length < recipe.data.max_length:
        return
    short = dataset is None or dataset.max_tokens <= model.context_length
    yield Problem(
        field="data.max_length",
        text=f"max_length {recipe.data.max_length} is beyond the model's context of "
        f"{model.context_length} tokens.",
        fix=f"Set max_length to {model.context_length} or less.",
        severity="warning" if short else "error",
    )


def _found(recipe: Recipe, dataset: DatasetReport) -> Iterator[Problem]:
    """Warnings among the findings that no rule deals with."""
    fields = {"too-long": "data.max_length", "cut-answer": "data.max_length"}
    for finding in dataset.findings:
        if finding.severity == "info" or finding.handled(recipe.data):
            continue
        yield Problem(
            field=fields.get(finding.key, "dataset"),
            text=finding.text,
            fix=finding.fix,
            severity="warning",
            row=finding.rows[0].row if finding.rows else None,
        )
    if dataset.usable_rows and not dataset.kept_rows and dataset.dropped:
        yield Problem(
            field="data.drop",
            text="The rules leave no row to train on.",
            fix="Take some of them away.",
        )


def _rows(recipe: Recipe, dataset: DatasetReport) -> Iterator[Problem]:
    rows, training = dataset.kept_rows or dataset.usable_rows, recipe.training
    if dataset.tokens and not dataset.trained_tokens:
        yield Problem(
            field="data.train_on",
            text="Every token is masked: no row has anything to learn from.",
            fix="Check that the rows hold answers, or set train_on to everything.",
        )
    held_out = int(rows * recipe.data.eval_share)
    yield from _few(recipe, rows, held_out)
    if rows - held_out < training.batch_size:
        yield Problem(
            field="training.batch_size",
            text=f"{rows - held_out} training rows never fill a batch of {training.batch_size}.",
            fix=f"Set batch_size to {max(1, (rows - held_out) // 4)} or so.",
            severity="warning",
        )
    many = training.epochs > MANY_EPOCHS and not training.max_steps
    if many and rows < SMALL_SET and not training.early_stopping_patience:
        yield Problem(
            field="training.epochs",
            text=f"{training.epochs:g} passes over {rows} rows usually learn them by heart "
            "(overfitting).",
            fix=f"Set epochs to {MANY_EPOCHS} or fewer, or early_stopping_patience to 3.",
            severity="warning",
            source=FACTS["epochs"].source,
        )


def _few(recipe: Recipe, rows: int, held_out: int) -> Iterator[Problem]:
    if rows < FEW_ROWS:
        yield Problem(
            field="dataset",
            text=f"{rows} usable row{'s are' if rows > 1 else ' is'} very few to learn from.",
            fix="A few hundred rows show a style; add more if you can.",
            severity="warning",
            source=FACTS["few rows"].source,
        )
    if recipe.data.eval_share and not held_out:
        yield Problem(
            field="data.eval_share",
            text=f"{recipe.data.eval_share:g} of {rows} rows is not a whole row, so the held-out "
            "loss would say nothing.",
            fix="Raise eval_share, add rows, or set eval_share to 0.",
            severity="warning",
        )
