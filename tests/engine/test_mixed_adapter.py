"""Baked mixes are, number for number, what PEFT mixes on a loaded model; right where PEFT isn't."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.mixing import METHODS, Ingredient, Mix
from studio.engine import mixed_adapter, mixed_layers
from studio.library import adapter_files, mixing
from tests.support import adapters as made

IDS = [1, 5, 9, 13, 2, 7]
WEIGHTS = (0.7, -0.4, 0.5)


def recipe(folders: Sequence[Path], weights: Sequence[float] = WEIGHTS, **settings: Any) -> Mix:
    pairs = zip(folders, weights, strict=False)
    told = tuple(Ingredient(adapter=str(folder), weight=weight) for folder, weight in pairs)
    return Mix(adapters=told, **settings)


def bake(mix: Mix, out: Path) -> Path:
    out.mkdir()
    mixed_adapter.write(mix, out, lambda _share: None)
    return out


def by_peft(base: Path, mix: Mix, seed: int = 0) -> Any:
    """PEFT's own mix, on a loaded model, as its active adapter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = made.with_peft(base, Path(mix.adapters[0].adapter))
        names = ["default"]
        for place, one in enumerate(mix.adapters[1:]):
            names.append(f"other_{place}")
            model.load_adapter(one.adapter, adapter_name=names[-1])
        options: dict[str, Any] = {"density": mix.density} if METHODS[mix.method].pruned else {}
        if METHODS[mix.method].compressed:
            options["svd_rank"] = mix.rank or None
        _seed_before_mixing(model.base_model, seed)
        model.base_model.add_weighted_adapter(
            names, [one.weight for one in mix.adapters], "mixed", mix.method, **options
        )
        model.set_adapter("mixed")
    return model.eval()


def _seed_before_mixing(lora: Any, seed: int) -> None:
    """The adapter to be mixed is first made with weights at random, which are thrown away."""
    inject = lora.inject_adapter

    def seeded(*args: Any, **options: Any) -> None:
        inject(*args, **options)
        torch.manual_seed(seed)

    lora.inject_adapter = seeded


def deltas(model: Any) -> dict[str, torch.Tensor]:
    """What the active adapter changes in each layer."""
    return {
        name: module.get_delta_weight(module.active_adapters[0])
        for name, module in model.get_base_model().named_modules()
        if hasattr(module, "get_delta_weight") and module.active_adapters[0] in module.lora_A
    }


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> list[Path]:
    """Adapters of one rank: all layers; attention alone, another alpha; a pattern of alphas."""
    room = tmp_path_factory.mktemp("three")
    return [
        made.make_adapter(tiny_model, room / "a", 1),
        made.make_adapter(
            tiny_model, room / "b", 2, target_modules=["q_proj", "v_proj"], lora_alpha=3
        ),
        made.make_adapter(tiny_model, room / "c", 3, alpha_pattern={"layers.1.mlp.up_proj": 20}),
    ]


EXACT = [name for name, m in METHODS.items() if not m.random and not m.compressed]
NEAR = [name for name, m in METHODS.items() if not m.random and m.compressed]


@pytest.mark.parametrize("method", EXACT)
def test_bit_for_bit_what_peft_mixes(
    tmp_path: Path, tiny_model: Path, three: list[Path], method: str
) -> None:
    mix = recipe(three, method=method, density=0.6)
    baked = made.with_peft(tiny_model, bake(mix, tmp_path / "baked"))
    wanted, found = deltas(by_peft(tiny_model, mix)), deltas(baked)
    assert set(found) == set(wanted)
    assert not [name for name in found if not torch.equal(found[name], wanted[name])]


@pytest.mark.parametrize(("method", "rank"), [("svd", 0), *((name, 3) for name in NEAR)])
def test_what_peft_compresses(
    tmp_path: Path, tiny_model: Path, three: list[Path], method: str, rank: int
) -> None:
    mix = recipe(three, method=method, density=0.6, rank=rank)
    baked = made.with_peft(tiny_model, bake(mix, tmp_path / "baked"))
    wanted, found = deltas(by_peft(tiny_model, mix)), deltas(baked)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("method", [name for name, m in METHODS.items() if m.random])
def test_what_peft_drops_at_random(tmp_path: Path, tiny_model: Path, method: str) -> None:
    """On one layer both draw the same numbers from the layer's own seed."""
    layer = "model.layers.1.mlp.down_proj"
    folders = [
        made.make_adapter(tiny_model, tmp_path / str(seed), seed, target_modules=[layer])
        for seed in (1, 2)
    ]
    mix = recipe(folders, method=method, density=0.5, seed=11)
    baked = made.with_peft(tiny_model, bake(mix, tmp_path / "baked"))
    peft = by_peft(tiny_model, mix, seed=mixed_layers.seed_of(mix, layer))
    torch.testing.assert_close(deltas(baked)[layer], deltas(peft)[layer], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties_svd"])
def test_a_seed_draws_the_same_again(tmp_path: Path, three: list[Path], method: str) -> None:
    mix = recipe(three, method=method, seed=3)
    torch.manual_seed(1)
    first = load_file(bake(mix, tmp_path / "one") / adapter_files.WEIGHTS)
    before = torch.rand(1)
    torch.manual_seed(1)
    again = load_file(bake(mix, tmp_path / "two") / adapter_files.WEIGHTS)
    assert torch.equal(before, torch.rand(1)), "others' random numbers were taken"
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = recipe(three, method=method, seed=4)
    others = load_file(bake(other, tmp_path / "three") / adapter_files.WEIGHTS)
    assert not all(torch.equal(first[name], others[name]) for name in first)


def sum_of_changes(base: Path, mix: Mix) -> dict[str, torch.Tensor]:
    total: dict[str, torch.Tensor] = {}
    for one in mix.adapters:
        for name, delta in deltas(made.with_peft(base, Path(one.adapter))).items():
            total[name] = total.get(name, torch.zeros_like(delta)) + one.weight * delta
    return total


KINDS: dict[str, dict[str, Any]] = {
    "rsLoRA": {"use_rslora": True},
    "ranks": {"r": 2, "rank_pattern": {"q_proj": 8, "layers.1.mlp.up_proj": 1}},
    "alphas": {"alpha_pattern": {"^model.layers.0.self_attn.k_proj": 3, "down_proj": 20}},
    "some layers": {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    "by expression": {"target_modules": r".*layers\.0.*\.(q|o)_proj"},
    "wider than a layer": {"r": 40},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["cat", "svd"])
def test_every_kind_of_lora_comes_to_the_weighted_sum(
    tmp_path: Path, tiny_model: Path, kind: str, method: str
) -> None:
    """As the first adapter, whose settings PEFT would take over."""
    first = made.make_adapter(tiny_model, tmp_path / "first", 1, **KINDS[kind])
    second = made.make_adapter(tiny_model, tmp_path / "second", 2, r=3)
    mix = recipe([first, second], (0.8, -1.5), method=method, rank=43 if method == "svd" else 0)
    baked = made.with_peft(tiny_model, bake(mix, tmp_path / "baked"))
    wanted, found = sum_of_changes(tiny_model, mix), deltas(baked)
    assert set(found) == set(wanted)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=2e-5, rtol=1e-4)


def test_peft_makes_rslora_too_strong_and_this_doesnt(tmp_path: Path, tiny_model: Path) -> None:
    first = made.make_adapter(tiny_model, tmp_path / "first", 1, use_rslora=True)
    second = made.make_adapter(tiny_model, tmp_path / "second", 2)
    mix = recipe([first, second], (1.0, 1.0))
    wanted = sum_of_changes(tiny_model, mix)
    theirs = deltas(by_peft(tiny_model, mix))
    ours = deltas(made.with_peft(tiny_model, bake(mix, tmp_path / "baked")))
    name = next(iter(wanted))
    torch.testing.assert_close(theirs[name], wanted[name] * math.sqrt(8), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(ours[name], wanted[name], atol=1e-5, rtol=1e-4)


def test_peft_loses_layers_that_the_first_adapter_was_kept_from(
    tmp_path: Path, tiny_model: Path
) -> None:
    first = made.make_adapter(
        tiny_model, tmp_path / "first", 1, target_modules=["q_proj"], layers_to_transform=[0]
    )
    second = made.make_adapter(tiny_model, tmp_path / "second", 2, target_modules=["q_proj"])
    mix = recipe([first, second], (1.0, 1.0))
    lost = set(sum_of_changes(tiny_model, mix)) - set(deltas(by_peft(tiny_model, mix)))
    assert lost, "PEFT mends this now: say so in mixed_adapter.config"
    baked = made.with_peft(tiny_model, bake(mix, tmp_path / "baked"))
    assert lost <= set(deltas(baked))


def test_what_is_written_is_an_adapter_of_one_rank(
    tmp_path: Path, tiny_model: Path, three: list[Path]
) -> None:
    baked = bake(recipe(three), tmp_path / "baked")
    config = adapter_files.read_config(baked)
    assert (config.rank, config.alpha) == (12, 12.0)
    assert not config.whole["use_rslora"]
    assert not config.whole["rank_pattern"]
    assert {pair.layer.rank for pair in mixing.pairs(baked).values()} == {12}
    assert mixing.read(baked).adapters[1].weight == -0.4


def test_adding_halves_doubles_adapters_that_are_alike(tmp_path: Path, three: list[Path]) -> None:
    """What the method's description warns of: half and half of one adapter is twice that one."""
    mix = recipe([three[0], three[0]], (0.5, 0.5), method="linear")
    out = tmp_path / "baked"
    out.mkdir()
    assert mixed_adapter.write(mix, out, lambda _share: None)["apart"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("method", "low", "high"), [("cat", 0, 1e-6), ("svd", 0.05, 0.95)])
def test_how_far_from_the_sum_is_measured(
    tmp_path: Path, tiny_model: Path, three: list[Path], method: str, low: float, high: float
) -> None:
    mix = recipe(three, method=method)
    out = tmp_path / "baked"
    out.mkdir()
    told = mixed_adapter.write(mix, out, lambda _share: None)["apart"]
    wanted = sum_of_changes(tiny_model, mix)
    found = deltas(made.with_peft(tiny_model, out))
    lost = sum(float((wanted[name] - found[name]).square().sum()) for name in wanted)
    whole = sum(float(each.square().sum()) for each in wanted.values())
    assert low <= told <= high
    assert told == pytest.approx(math.sqrt(lost / whole), abs=1e-5)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings:UserWarning")
@pytest.mark.parametrize("method", ["cat", "svd", "ties", "magnitude_prune_svd"])
def test_lora_on_embeddings(tmp_path: Path, tiny_model: Path, method: str) -> None:
    """Their halves lie the other way round, and the base's own weights come along in the file."""
    folders = [
        made.make_adapter(
            tiny_model, tmp_path / str(seed), seed, target_modules=["q_proj", "embed_tokens"]
        )
        for seed in (1, 2)
    ]
    for folder in folders:
        part = mixing.part(folder, tiny_model)
        assert not part.kinds
        assert len(part.layers) == 3
    mix = recipe(folders, method=method, density=0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        baked = made.with_peft(tiny_model, bake(mix, tmp_path / "baked"))
        wanted = made.logits(by_peft(tiny_model, mix), IDS)
    torch.testing.assert_close(made.logits(baked, IDS), wanted, atol=2e-4, rtol=1e-4)


LOST: dict[str, dict[str, Any]] = {
    "DoRA": {"use_dora": True},
    "new layers": {"modules_to_save": ["norm"]},
}


@pytest.mark.parametrize("kind", LOST)
def test_peft_drops_without_a_word_what_is_refused_here(
    tmp_path: Path, tiny_model: Path, kind: str
) -> None:
    """All of one and nothing of another should be the one."""
    settings = {"target_modules": ["q_proj"]} | LOST[kind]
    special = made.make_adapter(tiny_model, tmp_path / "special", 1, **settings)
    file = special / adapter_files.WEIGHTS
    tensors = load_file(file)
    for name in tensors:
        if "lora_A" not in name and "lora_B" not in name:
            tensors[name] = tensors[name] + torch.rand_like(tensors[name])
    save_file(tensors, file, metadata={"format": "pt"})
    plain = made.make_adapter(tiny_model, tmp_path / "plain", 2, target_modules=["q_proj"])
    wanted = made.logits(made.with_peft(tiny_model, special), IDS)
    mixed = made.logits(by_peft(tiny_model, recipe([special, plain], (1.0, 0.0))), IDS)
    assert (mixed - wanted).abs().max() > 0.01, "PEFT honours this now: it needn't be refused"
    assert mixing.part(special, tiny_model).kinds
