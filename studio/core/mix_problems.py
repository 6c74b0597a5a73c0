"""What can't be mixed, and what had better not be: every problem at once, before anything loads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from studio.core.mixing import METHODS, SIGNS, Mix, method, rank_of
from studio.core.problem import Problem, Severity

KINDS = {
    "dora": "DoRA's lengths of rows",
    "bias": "trained biases",
    "tokens": "trained tokens",
    "whole": "whole layers of its own, such as a new head or embeddings",
    "parameters": "parameters inside layers (target_parameters, as mixtures of experts have)",
}
"""What an adapter may hold beside pairs of LoRA. PEFT mixes the pairs and drops these."""

STRONG = 2.0
WIDE = 256
_EXACT = "the exact sum (cat) or the compressed one (svd)"


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of an adapter: its rank, and how wide it is on either side."""

    rank: int
    inner: int
    outer: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one adapter before it loads.

    `layers` by the name of the layer, `kinds` how many tensors there are of each of KINDS.
    `problem` is why it can't be read, "" if it can.
    """

    path: str
    name: str
    base: str = ""
    base_digest: str = ""
    method: str = ""
    template: str = ""
    layers: dict[str, Layer] = {}
    kinds: dict[str, int] = {}
    problem: str = ""

    @property
    def rank(self) -> int:
        """The largest rank of its layers."""
        return max((layer.rank for layer in self.layers.values()), default=0)


def problems(mix: Mix, parts: Sequence[Part]) -> list[Problem]:
    """Everything that is wrong or doubtful; `parts` are the mix's adapters in its order.

    The field of what an adapter is to blame for is `adapters.0`, `adapters.1`, …
    """
    readable = [one for one in parts if not one.problem]
    found = [*_of_recipe(mix), *_of_parts(parts), *_of_bases(parts), *_of_weights(mix)]
    if len(readable) == len(parts):
        found += [*_of_layers(mix, parts), *_of_ranks(mix, parts), *_of_coverage(parts)]
    return found + list(_of_templates(parts))


def blocks(found: Sequence[Problem]) -> bool:
    """Whether any of these keeps the mix from being made."""
    return any(problem.severity == "error" for problem in found)


def _of_recipe(mix: Mix) -> Iterator[Problem]:
    chosen = METHODS.get(mix.method)
    if chosen is None:
        yield _problem("method", f"There is no method {mix.method}.", f"Use {', '.join(METHODS)}.")
        return
    if chosen.pruned and not 0 < mix.density <= 1:
        yield _problem(
            "density",
            f"A density of {mix.density:g} makes no sense; it is the share of each adapter that is "
            "kept.",
            "Choose more than 0, up to 1.",
        )
    elif chosen.pruned and mix.density == 1:
        yield _problem("density", "At a density of 1 nothing is pruned.", severity="info")
    if mix.rank < 0:
        yield _problem("rank", "A rank can't be negative.", "Choose 1 or more, or leave it away.")
    elif mix.rank and not chosen.compressed:
        yield _problem(
            "rank",
            f"{chosen.title} has no rank to choose.",
            "Leave it away, or use svd.",
            severity="warning",
        )
    if mix.sign not in SIGNS:
        yield _problem("sign", f"There is no vote by {mix.sign}.", f"Use {' or '.join(SIGNS)}.")
    if not mix.adapters:
        yield _problem("adapters", "No adapter is chosen.", "Choose two or more.")
    if len(mix.adapters) == 1 and mix.method not in ("cat", "linear", "svd"):
        yield _problem(
            "method",
            f"{chosen.title} needs two adapters or more.",
            "With one, use the exact sum (cat): its weight makes it weaker or stronger.",
        )


def _of_parts(parts: Sequence[Part]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for field, part in _numbered(parts):
        if part.problem:
            yield _problem(field, f"{part.name}: {part.problem}")
            continue
        if part.path in seen:
            yield _problem(field, f"{part.name} is in the mix twice.", "Give it one weight.")
        seen[part.path] = part.name
        for kind in part.kinds:
            yield _problem(
                field,
                f"{part.name} holds {KINDS[kind]}, which no method of mixing combines.",
                "Merge it into the model instead, or leave it out.",
            )
        if not part.layers and not part.kinds:
            yield _problem(field, f"{part.name} changes no layer.", "Leave it out.")


def _of_bases(parts: Sequence[Part]) -> Iterator[Problem]:
    """Bases are compared by content; where one isn't known by it, by name."""
    first = next((one for one in parts if one.base_digest), None)
    for field, part in _numbered(parts):
        if first is None or part is first or part.problem:
            continue
        if part.base_digest and part.base_digest != first.base_digest:
            yield _problem(
                field,
                f"{part.name} was trained on {_base(part)}, {first.name} on {_base(first)}"
                f"{_though(part, first)}.",
                "Mix adapters of one base only.",
            )
        elif not part.base_digest and _base(part) != _base(first):
            yield _problem(
                field,
                f"{part.name} says it belongs to {_base(part)}, {first.name} to {_base(first)}: "
                "whether that is one model isn't known.",
                "Mix them only if it is.",
                severity="warning",
            )
    if first is None and len({_base(one) for one in parts if not one.problem}) > 1:
        names = ", ".join(sorted({_base(one) for one in parts if not one.problem}))
        yield _problem(
            "adapters",
            f"The adapters name different bases ({names}), and which models these are isn't known.",
            "Mix them only if it is one model.",
            severity="warning",
        )
    if len({one.method == "qlora" for one in parts if not one.problem}) > 1:
        yield _problem(
            "adapters",
            "Some of these were trained on the 4-bit base and some on the 16-bit one; each expects "
            "its own.",
            severity="info",
        )


def _of_weights(mix: Mix) -> Iterator[Problem]:
    weights = [one.weight for one in mix.adapters]
    for place, one in enumerate(mix.adapters):
        field = f"adapters.{place}"
        if not math.isfinite(one.weight):
            yield _problem(field, "Its weight is no number.", "Choose one such as 0.5.")
        elif one.weight == 0 and any(weights):
            yield _problem(
                field, "At weight 0 it has no part in the mix.", "Leave it out.", severity="info"
            )
        elif abs(one.weight) > STRONG:
            yield _problem(
                field,
                f"At weight {one.weight:g} it is far stronger than it was trained.",
                "Answers often break above 1; try less.",
                severity="warning",
            )
    if weights and not any(weights):
        yield _problem("adapters", "All weights are 0: nothing would be mixed.", "Raise one.")
    if method(mix.method).votes and any(weight < 0 for weight in weights):
        yield _problem(
            "method",
            "A negative weight has no say in the vote: directions are voted on as they were "
            "trained.",
            f"To take an adapter away, use {_EXACT}.",
            severity="warning",
        )


def _of_layers(mix: Mix, parts: Sequence[Part]) -> Iterator[Problem]:
    """Layers of one name that aren't of one size can't be of one base."""
    seen: dict[str, tuple[Part, Layer]] = {}
    for field, part in _numbered(parts):
        for name, layer in part.layers.items():
            other, known = seen.setdefault(name, (part, layer))
            if (known.inner, known.outer) != (layer.inner, layer.outer):
                yield _problem(
                    field,
                    f"{part.name} and {other.name} can't belong to one base: {name} is "
                    f"{layer.outer} x {layer.inner} here and {known.outer} x {known.inner} there.",
                    "Mix adapters of one base only.",
                )
                break


def _of_ranks(mix: Mix, parts: Sequence[Part]) -> Iterator[Problem]:
    chosen, ranks = method(mix.method), [one.rank for one in parts]
    if chosen.halves:
        seen: dict[str, tuple[Part, Layer]] = {}
        for field, part in _numbered(parts):
            for name, layer in part.layers.items():
                other, known = seen.setdefault(name, (part, layer))
                if known.rank != layer.rank:
                    better = f", or {chosen.whole}" if chosen.whole else ""
                    yield _problem(
                        field,
                        f"{chosen.title} needs equal ranks; {part.name} has {layer.rank} and "
                        f"{other.name} {known.rank} in {name}.",
                        f"Use {_EXACT}{better}.",
                    )
                    break
    if not ranks or not all(ranks):
        return
    if chosen.compressed and mix.rank > sum(ranks) and not chosen.pruned:
        yield _problem(
            "rank",
            f"The sum of these has no more than rank {sum(ranks)}.",
            f"Choose {sum(ranks)} or less.",
            severity="warning",
        )
    elif rank_of(mix, ranks) > WIDE:
        yield _problem(
            "method",
            f"The result has rank {rank_of(mix, ranks)}: a large file, and slow to answer with.",
            "Use svd with a smaller rank.",
            severity="warning",
        )


def _of_coverage(parts: Sequence[Part]) -> Iterator[Problem]:
    """Adapters on different layers: said, since there is nothing to mix where only one is."""
    everything = {name for part in parts for name in part.layers}
    for field, part in _numbered(parts):
        missing = len(everything - part.layers.keys())
        if missing and part.layers:
            yield _problem(
                field,
                f"{part.name} leaves {missing} of {len(everything)} layers as they are; there the "
                "mix is the others' alone.",
                severity="info",
            )


def _of_templates(parts: Sequence[Part]) -> Iterator[Problem]:
    templates = {one.template for one in parts if not one.problem}
    if len(templates) > 1:
        yield _problem(
            "adapters",
            "These were trained with different chat templates; the mix takes the strongest one's.",
            "Try it in chat: one of them may not recognise its own questions.",
            severity="warning",
        )


def _numbered(parts: Sequence[Part]) -> Iterator[tuple[str, Part]]:
    return ((f"adapters.{place}", part) for place, part in enumerate(parts))


def _base(part: Part) -> str:
    return part.base.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or "a model it doesn't name"


def _though(part: Part, other: Part) -> str:
    return ", whose weights differ" if _base(part) == _base(other) else ""


def _problem(field: str, text: str, fix: str = "", severity: Severity = "error") -> Problem:
    return Problem(field=field, text=text, fix=fix, severity=severity)
