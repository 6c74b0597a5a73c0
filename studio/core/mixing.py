"""A mix: adapters of one base made into one, each with a weight, by one of PEFT's methods."""

from __future__ import annotations

import msgspec


class Ingredient(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter of a mix: its folder, how strongly it counts, what it is called.

    `digest` is the SHA-256 of its weights, known once they were read.
    """

    adapter: str
    weight: float = 1.0
    name: str = ""
    digest: str = ""


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """The recipe of a mix, as mix.yaml beside the adapter that was baked from it.

    `density` is the share of each adapter that pruning keeps, `rank` that of the result where it
    is compressed (0: the largest of the adapters'), `sign` who wins a vote: the larger sum or the
    larger number. `seed` is for what is dropped at random. `base` names the model.
    """

    adapters: tuple[Ingredient, ...]
    method: str = "cat"
    density: float = 0.5
    rank: int = 0
    seed: int = 0
    sign: str = "total"
    base: str = ""
    base_digest: str = ""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One way of mixing, by PEFT's name for it, and in words.

    `exact`: the result is the weighted sum itself. `halves`: works on the two halves of each
    adapter, which takes equal ranks. `compressed`: works on whole layers and brings the result to
    a rank. `pruned`: `density` counts; `random`: so does `seed`; `votes`: so does `sign`.
    `whole` names the same method on whole layers.
    """

    name: str
    title: str
    does: str
    when: str
    exact: bool = False
    halves: bool = False
    compressed: bool = False
    pruned: bool = False
    random: bool = False
    votes: bool = False
    whole: str = ""
    source: str = ""

    @property
    def settings(self) -> tuple[str, ...]:
        """The fields of a mix that count with this method."""
        wanted = (
            ("method", True),
            ("density", self.pruned),
            ("rank", self.compressed),
            ("seed", self.random),
            ("sign", self.votes),
        )
        return tuple(name for name, counts in wanted if counts)


TIES, DARE = "arXiv 2306.01708", "arXiv 2311.03099"
SIGNS = ("total", "frequency")

_FIRST = (
    Method(
        name="cat",
        title="Exact sum",
        does="Adds what each adapter changes, times its weight, and loses nothing; the result is "
        "as wide as all of them together.",
        when="The best start, and for adapters of different ranks.",
        exact=True,
    ),
    Method(
        name="svd",
        title="Sum, compressed",
        does="The exact sum, of which the strongest directions are kept that fit into one rank.",
        when="When the exact sum is too wide for where it goes: a smaller file, and a little is "
        "lost.",
        compressed=True,
    ),
    Method(
        name="linear",
        title="Halves added",
        does="Adds the two halves of the adapters separately, so that each one's half also meets "
        "the others': adapters that are alike come out up to twice as strong.",
        when="When the file must stay as small as one adapter's; a rough guess at the sum. "
        "The compressed sum is nearer.",
        halves=True,
    ),
    Method(
        name="ties",
        title="TIES",
        does="Keeps the strongest changes of each adapter, lets them vote on a direction and "
        "averages those that agree.",
        when="When adapters get in each other's way: each alone is good, their sum is not.",
        halves=True, pruned=True, votes=True, whole="ties_svd", source=TIES,
    ),
    Method(
        name="dare_linear",
        title="DARE",
        does="Drops changes at random, strengthens the others to make up for it, then adds.",
        when="For several adapters that change the same layers a lot; try more than one seed.",
        halves=True, pruned=True, random=True, whole="dare_linear_svd", source=DARE,
    ),
    Method(
        name="dare_ties",
        title="DARE, then TIES",
        does="Drops changes at random, lets the rest vote on a direction and averages those that "
        "agree.",
        when="When DARE alone leaves adapters that contradict each other.",
        halves=True, pruned=True, random=True, votes=True, whole="dare_ties_svd", source=DARE,
    ),
    Method(
        name="magnitude_prune",
        title="Strongest only",
        does="Keeps the largest changes of each adapter, drops the rest, then adds.",
        when="When small changes of one adapter disturb another, and nothing is left to chance.",
        halves=True, pruned=True, whole="magnitude_prune_svd",
    ),
)  # fmt: skip

WHOLE_LAYERS = (
    "Works on what the adapters change in whole layers, not on their two halves: truer, for any "
    "ranks, and slow on large models."
)


def _on_whole_layers(one: Method) -> Method:
    return msgspec.structs.replace(
        one, name=one.whole, title=f"{one.title}, on whole layers", when=f"{one.when} "
        f"{WHOLE_LAYERS}", halves=False, compressed=True, whole="",
    )  # fmt: skip


METHODS: dict[str, Method] = {
    one.name: one for one in (*_FIRST, *(_on_whole_layers(one) for one in _FIRST if one.whole))
}
"""All that PEFT's add_weighted_adapter knows, those that a person should look at first, first."""


def method(name: str) -> Method:
    """The method of this name; the exact sum stands in for one that isn't known."""
    return METHODS.get(name, METHODS["cat"])


def rank_of(mix: Mix, ranks: list[int]) -> int:
    """The rank of the result, by the largest rank of each adapter."""
    chosen = method(mix.method)
    if chosen.exact:
        return sum(ranks)
    return mix.rank or max(ranks) if chosen.compressed else max(ranks)


def parts_of(text: str) -> tuple[str, float]:
    """An adapter and its weight from NAME=WEIGHT, 1 where none is named. ValueError for no number.

    >>> parts_of("orders=0.7")
    ('orders', 0.7)
    >>> parts_of("orders")
    ('orders', 1.0)
    """
    name, sign, weight = text.rpartition("=")
    return (name, float(weight)) if sign else (text, 1.0)
