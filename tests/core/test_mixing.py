"""Every problem of a mix is said at once, beside whom it is of, with what to do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core.mix_problems import KINDS, Layer, Part, blocks, problems
from studio.core.mixing import METHODS, Ingredient, Mix, method, parts_of, rank_of
from studio.core.problem import Problem

BASE = "digest of the base"


def part(name: str, rank: int = 8, count: int = 3, **more: Any) -> Part:
    found = {f"layers.{at}.q_proj": Layer(rank=rank, inner=64, outer=32) for at in range(count)}
    told: dict[str, Any] = {"base": "/models/tiny", "base_digest": BASE, "layers": found} | more
    return Part(path=f"/adapters/{name}", name=name, **told)


def of(parts: list[Part], weights: tuple[float, ...] = (1.0, 1.0), **more: Any) -> list[Problem]:
    pairs = zip(parts, weights, strict=False)
    told = tuple(Ingredient(adapter=one.path, weight=weight) for one, weight in pairs)
    return problems(Mix(adapters=told, **more), parts)


def test_two_of_a_kind_can_be_mixed_by_every_method() -> None:
    for name in METHODS:
        assert of([part("a"), part("b")], method=name, density=0.5) == []


def test_everything_is_said_at_once_beside_whom_it_is_of() -> None:
    others = part("b", rank=4, base_digest="another", kinds={"dora": 2})
    found = of([part("a"), others], (1.0, float("nan")), method="ties", density=0.0)
    said = {(one.field, one.severity) for one in found}
    assert said == {("density", "error"), ("adapters.1", "error")}
    assert len(found) == 5
    assert all(one.fix for one in found)


def test_bases_differ_by_content_not_by_name() -> None:
    moved = part("b", base="/elsewhere/another name")
    assert of([part("a"), moved]) == []
    (found,) = of([part("a"), part("b", base_digest="another")])
    assert found.severity == "error"
    assert "whose weights differ" in found.text


def test_a_base_that_is_known_by_name_alone_is_doubtful() -> None:
    nameless = part("b", base_digest="", base="hub/tiny")
    assert of([part("a"), nameless]) == [], "the same name"
    (found,) = of([part("a"), part("b", base_digest="", base="hub/other")])
    assert (found.severity, found.field) == ("warning", "adapters.1")
    (both,) = of([part("a", base_digest=""), part("b", base_digest="", base="other")])
    assert both.severity == "warning"


def test_layers_of_other_sizes_are_of_another_base() -> None:
    wide = {"layers.0.q_proj": Layer(rank=8, inner=128, outer=32)}
    found = of([part("a", count=1), part("b", base_digest="", layers=wide)])
    assert "32 x 128 here and 32 x 64 there" in found[0].text


@pytest.mark.parametrize("name", list(METHODS))
def test_different_ranks(name: str) -> None:
    found = of([part("a", rank=8), part("b", rank=4)], method=name)
    assert blocks(found) == METHODS[name].halves
    if found:
        assert found[0].field == "adapters.1"
        assert "cat" in found[0].fix
        assert METHODS[name].whole in found[0].fix


def test_ranks_may_differ_in_one_layer_alone() -> None:
    layers = dict(part("x").layers)
    layers["layers.2.q_proj"] = Layer(rank=2, inner=64, outer=32)
    (found,) = of([part("a"), part("b", layers=layers)], method="linear")
    assert "layers.2.q_proj" in found.text


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_peft_would_drop_without_a_word_is_refused_by_name(kind: str) -> None:
    (found,) = of([part("a"), part("b", kinds={kind: 3})])
    assert (found.severity, found.field) == ("error", "adapters.1")
    assert KINDS[kind] in found.text


@pytest.mark.parametrize(
    ("weights", "field", "severity"),
    [
        ((0.0, 0.0), "adapters", "error"),
        ((1.0, float("inf")), "adapters.1", "error"),
        ((1.0, 0.0), "adapters.1", "info"),
        ((3.0, 1.0), "adapters.0", "warning"),
    ],
)
def test_weights(weights: tuple[float, float], field: str, severity: str) -> None:
    found = of([part("a"), part("b")], weights)
    assert (field, severity) in {(one.field, one.severity) for one in found}


@pytest.mark.parametrize(
    ("settings", "field", "severity"),
    [
        ({"method": "average"}, "method", "error"),
        ({"method": "dare_linear", "density": 0.0}, "density", "error"),
        ({"method": "ties", "density": 1.5}, "density", "error"),
        ({"method": "ties", "density": 1.0}, "density", "info"),
        ({"method": "cat", "rank": 4}, "rank", "warning"),
        ({"method": "svd", "rank": -1}, "rank", "error"),
        ({"method": "svd", "rank": 17}, "rank", "warning"),
        ({"method": "ties", "sign": "loudest"}, "sign", "error"),
    ],
)
def test_settings(settings: dict[str, Any], field: str, severity: str) -> None:
    (found,) = of([part("a"), part("b")], **settings)
    assert (found.field, found.severity) == (field, severity)


def test_a_density_says_nothing_where_nothing_is_pruned() -> None:
    assert of([part("a"), part("b")], method="cat", density=0.0) == []


def test_one_alone_twice_and_unreadable() -> None:
    assert of([part("a")]) == []
    assert blocks(of([part("a")], method="ties"))
    assert blocks(of([part("a"), part("a")]))
    assert blocks(problems(Mix(adapters=()), []))
    (found,) = of([part("a"), Part(path="/x", name="x", problem="It is pickled.")])
    assert "It is pickled" in found.text


def test_layers_that_only_one_changes_are_said() -> None:
    (found,) = of([part("a"), part("b", count=2)], (1.0, 1.0))[:1]
    assert (found.severity, found.field) == ("info", "adapters.1")
    assert "1 of 3" in found.text


def test_a_vote_has_no_ear_for_negative_weights() -> None:
    (found,) = of([part("a"), part("b")], (1.0, -1.0), method="dare_ties")
    assert (found.severity, found.field) == ("warning", "method")
    assert of([part("a"), part("b")], (1.0, -1.0)) == []


def test_other_templates_and_four_bits_are_said() -> None:
    found = of([part("a", template="x"), part("b", template="y", method="qlora")])
    assert [one.severity for one in found] == ["info", "warning"]


def test_the_rank_of_the_result() -> None:
    told = Mix(adapters=())
    assert rank_of(told, [8, 4]) == 12
    assert rank_of(msgspec.structs.replace(told, method="svd"), [8, 4]) == 8
    assert rank_of(msgspec.structs.replace(told, method="svd", rank=3), [8, 4]) == 3
    assert rank_of(msgspec.structs.replace(told, method="linear", rank=3), [8, 8]) == 8
    (found,) = of([part("a", rank=200), part("b", rank=100)])
    assert "rank 300" in found.text


def test_pefts_methods_are_all_here() -> None:
    """As the signature of peft 0.21's add_weighted_adapter has them."""
    assert set(METHODS) == {
        "svd", "linear", "cat", "ties", "ties_svd", "dare_ties", "dare_linear", "dare_ties_svd",
        "dare_linear_svd", "magnitude_prune", "magnitude_prune_svd",
    }  # fmt: skip
    assert method("no such").exact
    assert len({one.title for one in METHODS.values()}) == len(METHODS)


def test_names_with_a_sign_of_their_own() -> None:
    assert parts_of("a=b=0.5") == ("a=b", 0.5)
    assert parts_of("a=-1") == ("a", -1.0)
    with pytest.raises(ValueError, match="float"):
        parts_of("a=b")
