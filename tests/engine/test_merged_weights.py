"""Every kind of adapter, merged bit for bit as peft does or to the same answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from studio.core.errors import StudioError
from studio.engine import merged_files, quantized_base, streaming_merge
from studio.engine.load import load_tokenizer
from studio.engine.quantized_base import AsTrained
from studio.library import adapter_files, models
from studio.library.models import weights
from tests.engine.merging import (
    by_peft,
    in_bf16,
    in_shards,
    tensors_of,
    untied,
)
from tests.support import adapters as made
from tests.support import random_models
from tests.support import tiny_model as tiny

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one module": {"target_modules": ["v_proj"]},
    "rslora": {"use_rslora": True},
    "patterns": {
        "rank_pattern": {"q_proj": 8, "layers.1.mlp.up_proj": 2},
        "alpha_pattern": {"^model.layers.0.self_attn.k_proj": 3, "down_proj": 20},
    },
    "dora": {"use_dora": True},
    "new norm": {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    "rsdora with patterns": {"use_dora": True, "use_rslora": True, "rank_pattern": {"q_proj": 8}},
    "trained tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [1, 5, 7]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_bit_for_bit_what_peft_merges(tmp_path: Path, tiny_model: Path, kind: str) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", **KINDS[kind])
    merged, wanted = written(tiny_model, adapter, tmp_path / "out"), by_peft(tiny_model, adapter)
    assert set(merged) == set(tensors_of(tiny_model))
    different = [name for name in merged if not torch.equal(merged[name], wanted[name])]
    assert not different


ENDS: dict[str, dict[str, Any]] = {
    "new head": {"modules_to_save": ["lm_head"]},
    "new embeddings": {"modules_to_save": ["embed_tokens"]},
    "both new": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "LoRA on the head": {"target_modules": ["q_proj", "lm_head"]},
    "LoRA on the embeddings": {"target_modules": ["q_proj", "embed_tokens"]},
    "trained tokens": {"trainable_token_indices": {"embed_tokens": [1, 5]}},
}


OF_TYING = pytest.mark.filterwarnings(
    "ignore:Model has `tie_word_embeddings:UserWarning",
    "ignore:Setting `save_embedding_layers`:UserWarning",
)


@OF_TYING
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ENDS)
def test_both_ends_of_the_model(tmp_path: Path, tiny_model: Path, kind: str, tied: bool) -> None:
    base = tiny_model if tied else untied(tiny_model, tmp_path / "untied")
    adapter = made.make_adapter(
        base, tmp_path / "adapter", **{"target_modules": ["q_proj"]} | ENDS[kind]
    )
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    for name in tensors:
        if "lora_" not in name and "base_layer" not in name:
            tensors[name] = torch.randn_like(tensors[name])
        elif "embedding" in name:
            tensors[name] = torch.randn_like(tensors[name]) * 0.3
    save_file(tensors, file, metadata={"format": "pt"})
    model_of(base, adapter, tmp_path / "merged")
    ids = load_tokenizer(base)("The capital of France is Paris.")["input_ids"]
    live = made.logits(made.with_peft(base, adapter), ids)
    merged = made.logits(made.load(tmp_path / "merged"), ids)
    torch.testing.assert_close(merged, live, atol=2e-4, rtol=1e-4)
    assert (merged - made.logits(made.load(base), ids)).abs().max() > 0.01


@pytest.mark.filterwarnings("ignore:Adapter 'default'. 4 LoRA tensor")
def test_trained_biases(tmp_path: Path) -> None:
    base = tmp_path / "base"
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "vocab_size": 64,
        "attention_bias": True,
    }
    config = LlamaConfig(num_hidden_layers=2, num_attention_heads=4, **shape)
    LlamaForCausalLM(config).save_pretrained(base)
    adapter = made.make_adapter(
        base, tmp_path / "adapter", target_modules=["q_proj", "v_proj"], lora_bias=True,
        init_lora_weights=True,
    )  # fmt: skip
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    biases = [name for name in tensors if name.endswith("lora_B.bias")]
    assert len(biases) == 4
    tensors |= {name: torch.randn(32) for name in biases}
    save_file(tensors, file, metadata={"format": "pt"})
    todo = streaming_merge.plan(base, adapter)
    (tmp_path / "out").mkdir()
    streaming_merge.write(todo, tmp_path / "out")
    merged, wanted = tensors_of(tmp_path / "out"), by_peft(base, adapter)
    assert not [name for name in merged if not torch.equal(merged[name], wanted[name])]


@OF_TYING
def test_an_adapter_with_new_tokens_brings_their_tokenizer(
    tmp_path: Path, tiny_model: Path
) -> None:
    adapter = made.make_adapter(
        tiny_model, tmp_path / "adapter", target_modules=["q_proj"],
        modules_to_save=["embed_tokens", "lm_head"],
    )  # fmt: skip
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.add_tokens(["<left>", "<right>"])
    tokenizer.save_pretrained(adapter)
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    for name in tensors:
        if "lora_" not in name:
            tensors[name] = torch.randn(len(tokenizer), tensors[name].shape[1])
    save_file(tensors, file, metadata={"format": "pt"})
    todo = streaming_merge.plan(tiny_model, adapter)
    out = tmp_path / "out"
    out.mkdir()
    streaming_merge.write(todo, out)
    merged_files.write(tiny_model, adapter, out, name="x", dtype=None, said=todo.settings)
    model = made.load(out)
    assert model.config.vocab_size == len(tokenizer)
    ids = load_tokenizer(out)("<left>Paris<right>")["input_ids"]
    assert len(tokenizer) - 1 in ids
    key = next(name for name in tensors if name.endswith("lm_head.weight"))
    assert torch.equal(model.lm_head.weight, tensors[key])


def test_bit_for_bit_in_bfloat16_too(tmp_path: Path, tiny_model: Path) -> None:
    base = in_bf16(tiny_model, tmp_path / "narrow")
    adapter = made.make_adapter(base, tmp_path / "adapter")
    merged, wanted = written(base, adapter, tmp_path / "merged"), by_peft(base, adapter)
    assert all(tensor.dtype == torch.bfloat16 for tensor in merged.values())
    assert not [name for name in merged if not torch.equal(merged[name], wanted[name])]


def test_shards_stay_as_they_are(tmp_path: Path, tiny_model: Path) -> None:
    base = in_shards(tiny_model, tmp_path / "sharded")
    adapter = made.make_adapter(base, tmp_path / "adapter")
    out = model_of(base, adapter, tmp_path / "merged", torch.bfloat16)
    assert {f.name for f in out.glob("*.safetensors")} == {
        f.name for f in base.glob("*.safetensors")
    }
    index = json.loads((out / "model.safetensors.index.json").read_text("utf-8"))
    total = sum(t.numel() * t.element_size() for t in tensors_of(out).values())
    assert index["metadata"]["total_size"] == total
    wanted = by_peft(base, adapter)
    merged = made.load(out, torch.bfloat16).state_dict()
    assert all(torch.equal(merged[name], wanted[name].bfloat16()) for name in merged)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_another_dtype_is_rounded_once(tmp_path: Path, tiny_model: Path, dtype: str) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    wanted, kind = by_peft(tiny_model, adapter), getattr(torch, dtype)
    model_of(tiny_model, adapter, tmp_path / "merged", kind)
    merged = tensors_of(tmp_path / "merged")
    assert all(torch.equal(merged[name], wanted[name].to(kind)) for name in merged)
    assert models.config_of(tmp_path / "merged")["dtype"] == dtype


def test_a_qlora_adapter_goes_into_the_16_bit_base(tmp_path: Path, tiny_model: Path) -> None:
    from studio.engine.load import load_model

    base = in_bf16(tiny_model, tmp_path / "narrow")
    four = load_model(base, torch.bfloat16, bits=4, device=torch.device("cpu"))
    adapter = made.make_adapter(base, tmp_path / "adapter")
    live = made.with_peft(base, adapter, torch.bfloat16)
    quantised = made.attach_plain(four, adapter)
    model_of(base, adapter, tmp_path / "merged")
    ids = load_tokenizer(base)("The capital of France is Paris.")["input_ids"]
    merged = made.logits(made.load(tmp_path / "merged", torch.bfloat16), ids)
    # one rounding of bfloat16 apart from the 16-bit base with the adapter, and much nearer to it
    # than the 4-bit one is
    near = (merged - made.logits(live, ids)).abs().mean()
    far = (made.logits(quantised, ids) - made.logits(live, ids)).abs().mean()
    assert near < 0.1 * far


@OF_TYING
@pytest.mark.parametrize("kind", [*KINDS, "LoRA on the embeddings"])
def test_in_many_pieces_as_in_one(
    tmp_path: Path, tiny_model: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = untied(tiny_model, tmp_path / "base")
    adapter = made.make_adapter(base, tmp_path / "adapter", **(KINDS | ENDS)[kind])
    whole = written(base, adapter, tmp_path / "whole")
    monkeypatch.setattr(streaming_merge, "_PIECE_VALUES", 9 * tiny.HIDDEN)
    pieces = written(base, adapter, tmp_path / "pieces")
    # a product of fewer rows may be added up in another order
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)
    before = tensors_of(base)
    assert {name for name in whole if torch.equal(whole[name], before[name])} == {
        name for name in whole if torch.equal(pieces[name], before[name])
    }


TRANSPOSED: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ["c_attn", "c_proj"]},
    "dora": {"target_modules": ["c_proj", "c_fc"], "use_dora": True},
    "with embeddings": {"target_modules": ["c_attn", "wte"]},
    "with a head": {"target_modules": ["c_attn", "lm_head"]},
}


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set:UserWarning")
@OF_TYING
@pytest.mark.parametrize("told", [True, False], ids=["", "untold"])
@pytest.mark.parametrize("kind", TRANSPOSED)
def test_layers_that_keep_their_weights_transposed(tmp_path: Path, kind: str, told: bool) -> None:
    """GPT-2's: PEFT goes by the layer's class, whatever fan_in_fan_out says in the file."""
    base = tmp_path / "base"
    torch.manual_seed(0)
    ids = {"bos_token_id": 0, "eos_token_id": 0, "vocab_size": 64}
    GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=32, n_head=4, **ids)).save_pretrained(base)
    adapter = made.make_adapter(base, tmp_path / "adapter", **TRANSPOSED[kind])
    file = adapter / "adapter_config.json"
    config = json.loads(file.read_text("utf-8")) | {"fan_in_fan_out": told}
    file.write_text(json.dumps(config), "utf-8")
    adapter_files.check_shapes(adapter, base)
    assert_answers_as_live(base, adapter, tmp_path / "merged")


@OF_TYING
@pytest.mark.filterwarnings("ignore:You have requested `ensure_weight_tying`:UserWarning")
@pytest.mark.parametrize("kind", ["new embeddings", "LoRA on the embeddings", "trained tokens"])
def test_ends_that_stay_tied(tmp_path: Path, tiny_model: Path, kind: str) -> None:
    settings = {"target_modules": ["q_proj"]} | ENDS[kind] | {"ensure_weight_tying": True}
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", **settings)
    assert_answers_as_live(tiny_model, adapter, tmp_path / "merged")


def test_no_word_of_the_settings_but_the_weights_count(tmp_path: Path, tiny_model: Path) -> None:
    """Which layers an adapter was asked to change is told by those that it holds."""
    settings = {"exclude_modules": ["v_proj"], "layers_to_transform": [1]}
    adapter = made.make_adapter(
        tiny_model, tmp_path / "adapter", target_modules=["q_proj", "v_proj"], **settings
    )
    merged, before = written(tiny_model, adapter, tmp_path / "merged"), tensors_of(tiny_model)
    changed = {name for name in merged if not torch.equal(merged[name], before[name])}
    assert changed == {"model.layers.1.self_attn.q_proj.weight"}
    assert_as_peft(merged, tiny_model, adapter)


@pytest.mark.usefixtures("warnings_expected")
def test_what_no_adapter_touches_is_copied_whatever_its_type(
    tmp_path: Path, tiny_model: Path
) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    odd = {"model.counts": torch.arange(5), "model.wide": torch.full((3,), 0.1).double()}
    save_file(tensors_of(base) | odd, base / "model.safetensors", metadata={"format": "pt"})
    adapter = made.make_adapter(base, tmp_path / "adapter")
    held = AsTrained(quantized_base.layers(weights.read(base)[0]), torch.bfloat16)
    for each in (None, held):
        out = tmp_path / ("plain" if each is None else "held")
        merged = written(base, adapter, out, each)
        assert all(torch.equal(merged[name], odd[name]) for name in odd)


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("mixtral", ["q_proj", "o_proj"]),
        ("qwen2_moe", "all-linear"),
        ("qwen3_moe", ["q_proj", "o_proj"]),
        ("gemma2", "all-linear"),
        ("gpt_neox", "all-linear"),
        ("phi3", "all-linear"),
    ],
)
def test_other_architectures(
    tmp_path: Path, tiny_model: Path, kind: str, targets: str | list[str]
) -> None:
    """Among them mixtures, whose experts lie apart on disk and are one weight in memory."""
    base = random_models.build(tmp_path / "base", kind, tiny_model, num_hidden_layers=2)
    adapter = made.make_adapter(base, tmp_path / "adapter", target_modules=targets)
    assert_answers_as_live(base, adapter, tmp_path / "merged")
    before, after = tensors_of(base), tensors_of(tmp_path / "merged")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if ".experts." in name]


def test_parts_of_a_mixture_are_refused_by_name(tmp_path: Path, tiny_model: Path) -> None:
    base = random_models.build(tmp_path / "base", "qwen3_moe", tiny_model, num_hidden_layers=2)
    adapter = made.make_adapter(
        base, tmp_path / "adapter", target_modules=["q_proj"], lora_dropout=0.0,
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    )  # fmt: skip
    with pytest.raises(StudioError, match="target_parameters"):
        streaming_merge.plan(base, adapter)


def written(
    base: Path, adapter: Path, out: Path, held: AsTrained | None = None
) -> dict[str, torch.Tensor]:
    """What merging alone makes of base and adapter."""
    out.mkdir()
    streaming_merge.write(streaming_merge.plan(base, adapter), out, held=held)
    return tensors_of(out)


def model_of(base: Path, adapter: Path, out: Path, dtype: torch.dtype | None = None) -> Path:
    """The merged folder, without a passport: that takes most of the time."""
    todo = streaming_merge.plan(base, adapter, dtype)
    out.mkdir()
    streaming_merge.write(todo, out)
    merged_files.write(base, adapter, out, name="x", dtype=dtype, said=todo.settings)
    return out


def assert_as_peft(merged: dict[str, torch.Tensor], base: Path, adapter: Path) -> None:
    wanted = by_peft(base, adapter)
    for name, weight in merged.items():
        torch.testing.assert_close(weight, wanted[name], atol=1e-6, rtol=0)


def assert_answers_as_live(base: Path, adapter: Path, out: Path) -> None:
    """For tied ends: peft's own merge adds both adapters to the one weight that they share."""
    model_of(base, adapter, out)
    ids = [3, 5, 7, 11, 13]
    live = made.logits(made.with_peft(base, adapter), ids)
    torch.testing.assert_close(made.logits(made.load(out), ids), live, atol=2e-5, rtol=1e-5)
    assert (live - made.logits(made.load(base), ids)).abs().max() > 0.01
