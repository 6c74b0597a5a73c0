"""Choices that the field advises against: they warn, with the source, and never forbid."""

from __future__ import annotations

from collections.abc import Iterator

from studio.core import choices
from studio.core.choices import FACTS
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.problem import Problem, Severity
from studio.core.recipe import Recipe, learning_rate
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.learning import optimizer_bytes
from studio.core.sizing.plan import plan_of
from studio.core.sizing.shapes import Linear, Shapes, names

_MIB = 1 << 20
_FEW_STEPS = 10
_LONG_WARMUP = 0.3
_LITTLE_TO_PAGE = 256 * _MIB


def check_choices(
    recipe: Recipe,
    machine: Machine | None,
    model: ModelFacts | None,
    dataset: DatasetReport | None,
) -> Iterator[Problem]:
    """Rates, adapters, optimizers and lengths of runs that are rarely what somebody wants."""
    shapes = shapes_of(model.config) if model else None
    yield from _learning_rate(recipe)
    yield from _run(recipe, dataset)
    if recipe.method != "full":
        yield from _adapter(recipe, shapes)
        yield from _tiny(recipe, model)
    if shapes:
        yield from _paging(recipe, machine, shapes)


def _said(fact: str, field: str, text: str, fix: str, severity: Severity = "warning") -> Problem:
    return Problem(field=field, text=text, fix=fix, severity=severity, source=FACTS[fact].source)


def _learning_rate(recipe: Recipe) -> Iterator[Problem]:
    rate = recipe.training.learning_rate
    low, high = choices.USUAL_RATES[recipe.method]
    if not rate or low <= rate <= high:
        return
    wild = rate >= choices.WILD_RATE
    direction = "diverge" if rate > high else "hardly learn"
    usual = learning_rate(_at_usual_rate(recipe))
    yield _said(
        "learning rate",
        "training.learning_rate",
        f"A learning rate of {rate:g} is outside the usual {low:g} to {high:g} of "
        f"{recipe.method}; the run {'would' if wild else 'may'} {direction}.",
        f"Leave it at 0 for the method's usual rate ({usual:g}), or choose one from that range.",
        "error" if wild else "warning",
    )


def _at_usual_rate(recipe: Recipe) -> Recipe:
    return Recipe(model=recipe.model, dataset=recipe.dataset, method=recipe.method)


def _adapter(recipe: Recipe, shapes: Shapes | None) -> Iterator[Problem]:
    lora = recipe.lora
    low, high = choices.SCALES
    if not low <= lora.alpha / lora.rank <= high:
        yield _said(
            "alpha",
            "lora.alpha",
            f"alpha {lora.alpha:g} at rank {lora.rank} scales the adapter by "
            f"{lora.alpha / lora.rank:.3g}; usual are 1 to 2.",
            f"Set alpha to {2 * lora.rank}.",
        )
    if lora.dropout > choices.MUCH_DROPOUT:
        yield _said(
            "dropout",
            "lora.dropout",
            f"A dropout of {lora.dropout:g} hides much of each row from the adapter.",
            "Set dropout to 0.05 or 0.1, or to 0 on a large set.",
        )
    if shapes:
        yield from _rank(recipe, shapes)
        yield from _attention_only(recipe, shapes)


def _rank(recipe: Recipe, shapes: Shapes) -> Iterator[Problem]:
    rank, targeted = recipe.lora.rank, shapes.targeted(recipe.lora.target_modules)
    narrowest = min((min(one.inputs, one.outputs) for one in targeted), default=0)
    if narrowest and rank >= narrowest:
        yield _said(
            "rank",
            "lora.rank",
            f"Rank {rank} is no less than the {narrowest} values that a layer of this model is "
            "wide, so the adapter is larger than the layer it stands for.",
            f"Set the rank to {max(1, narrowest // 4)} or less, or train in full.",
        )
    elif rank > choices.MOST_RANK:
        yield _said(
            "rank",
            "lora.rank",
            f"Rank {rank} is beyond what was found to help; it takes memory and time.",
            "Set the rank to 64 or less, or to 256 for a very large set.",
        )


def _attention_only(recipe: Recipe, shapes: Shapes) -> Iterator[Problem]:
    targets = recipe.lora.target_modules
    targeted = shapes.targeted(targets)
    known = {one.module for one in targeted}
    if known and set(names(targets)) <= known and all(map(_of_attention, targeted)):
        yield _said(
            "target modules",
            "lora.target_modules",
            "The adapter is on attention alone; without the layers of the MLP it learns less.",
            "Set target_modules to all-linear; a lower rank makes up for the size.",
            "info",
        )


def _of_attention(layer: Linear) -> bool:
    return layer.role == "attention"


def _tiny(recipe: Recipe, model: ModelFacts | None) -> Iterator[Problem]:
    if recipe.method == "qlora" and model and 0 < model.parameters < choices.TINY:
        yield _said(
            "quantized tiny model",
            "method",
            f"This model has {model.parameters / 1e6:.3g} M parameters; a 4-bit base saves "
            "little memory here and costs some quality.",
            "LoRA is usually the better choice for a model this small.",
            "info",
        )


def _paging(recipe: Recipe, machine: Machine | None, shapes: Shapes) -> Iterator[Problem]:
    """On a processor there is nothing to page from, which `checking` says."""
    optimizer = recipe.training.optimizer
    if not optimizer.startswith("paged") or machine is None or not machine.gpus:
        return
    states = optimizer_bytes(shapes, plan_of(recipe, machine))
    if 0 < states < _LITTLE_TO_PAGE:
        plain = optimizer.removeprefix("paged_")
        yield _said(
            "paged optimizer",
            "training.optimizer",
            f"The optimizer's states are {states / _MIB:.0f} MB here: paging them gains nothing.",
            f"Set optimizer to {plain}.",
            "info",
        )


def _run(recipe: Recipe, dataset: DatasetReport | None) -> Iterator[Problem]:
    training = recipe.training
    if training.warmup_share > _LONG_WARMUP:
        yield Problem(
            field="training.warmup_share",
            text=f"The learning rate would still rise for {training.warmup_share:.0%} of the run.",
            fix="Set warmup_share to 0.03 to 0.1.",
            severity="warning",
        )
    if recipe.method != "full" and training.batch_size > choices.LARGE_BATCH:
        yield _said(
            "batch",
            "training.batch_size",
            f"Adapters learn less well from batches as large as {training.batch_size} rows.",
            "Set batch_size to 16 to 64.",
            "info",
        )
    steps = _steps(recipe, dataset)
    if 0 < steps < _FEW_STEPS:
        yield Problem(
            field="training.batch_size",
            text=f"The whole run is {steps} step{'s' if steps > 1 else ''}: too few to learn much.",
            fix="Lower batch_size, or raise epochs.",
            severity="info",
        )


def _steps(recipe: Recipe, dataset: DatasetReport | None) -> int:
    """Steps of the run; 0 where nobody knows its rows, or they don't fill a batch."""
    rows = (dataset.kept_rows or dataset.usable_rows) if dataset else 0
    learnt, batch = rows - int(rows * recipe.data.eval_share), recipe.training.batch_size
    if recipe.training.max_steps or learnt < batch:
        return recipe.training.max_steps
    return max(1, round(recipe.training.epochs * learnt / batch))
