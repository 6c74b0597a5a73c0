"""A merged folder is what base and adapter were together, or nothing is left of it."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from studio.core.commands import Cancel, Merge
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Cancelled, Finished, Note, Stage
from studio.engine import adapter_changes, failures, merge, merged_files, streaming_merge
from studio.engine.load import load_tokenizer
from studio.library import adapters, jobs, models
from studio.library.folders import Home
from tests.support import adapters as made
from tests.support import engines
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


def run(home: Home, base: Path, adapter: Path, out: Path, dtype: str = "auto") -> dict[str, Any]:
    """The result of a merge that goes well."""
    last = events_of(home, base, adapter, out, dtype)[-1]
    assert isinstance(last, Finished)
    return last.result


def events_of(
    home: Home, base: Path, adapter: Path, out: Path, dtype: str = "auto"
) -> list[AnyEvent]:
    job = Merge(adapter=str(adapter), out=str(out), base=str(base), dtype=dtype)
    context = engines.context_of(home, job)
    merge.run(context)
    return engines.events_of(context)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {n: t for file in folder.glob("*.safetensors") for n, t in load_file(file).items()}


def by_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """merge_and_unload in the base's own precision."""
    dtype = next(iter(tensors_of(base).values())).dtype
    return dict(made.with_peft(base, adapter, dtype).merge_and_unload().state_dict())


def in_bf16(base: Path, out: Path) -> Path:
    shutil.copytree(base, out)
    narrow = {name: t.bfloat16() for name, t in tensors_of(base).items()}
    save_file(narrow, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((out / "config.json").read_text("utf-8")) | {"dtype": "bfloat16"}
    (out / "config.json").write_text(json.dumps(config), "utf-8")
    return out


def untied(base: Path, out: Path) -> Path:
    """The same model with a head of its own."""
    shutil.copytree(base, out)
    tensors = tensors_of(base)
    torch.manual_seed(3)
    tensors["lm_head.weight"] = torch.randn_like(tensors["model.embed_tokens.weight"])
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((out / "config.json").read_text("utf-8")) | {"tie_word_embeddings": False}
    (out / "config.json").write_text(json.dumps(config), "utf-8")
    return out


def in_shards(base: Path, out: Path) -> Path:
    made.load(base).save_pretrained(out, max_shard_size="150KB")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, out / name)
    assert len(list(out.glob("*.safetensors"))) > 2
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_bit_for_bit_what_peft_merges(
    home: Home, tmp_path: Path, tiny_model: Path, kind: str
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", **KINDS[kind])
    result = run(home, tiny_model, adapter, tmp_path / "merged")
    merged, wanted = tensors_of(Path(result["path"])), by_peft(tiny_model, adapter)
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
def test_both_ends_of_the_model(
    home: Home, tmp_path: Path, tiny_model: Path, kind: str, tied: bool
) -> None:
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
    result = run(home, base, adapter, tmp_path / "merged")
    assert result["passport"]["grade"] == "pass"
    ids = load_tokenizer(base)("The capital of France is Paris.")["input_ids"]
    live = made.logits(made.with_peft(base, adapter), ids)
    merged = made.logits(made.load(tmp_path / "merged"), ids)
    torch.testing.assert_close(merged, live, atol=2e-4, rtol=1e-4)
    assert (merged - made.logits(made.load(base), ids)).abs().max() > 0.01


@pytest.mark.filterwarnings("ignore:Adapter 'default'. 4 LoRA tensor")
def test_trained_biases(home: Home, tmp_path: Path) -> None:
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
    home: Home, tmp_path: Path, tiny_model: Path
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


def test_what_cannot_be_merged_is_named(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text("utf-8")) | {"target_parameters": ["experts.down_proj"]}
    path.write_text(json.dumps(config), "utf-8")
    assert "target_parameters" in refused(home, tiny_model, adapter, tmp_path / "merged").text


def test_bit_for_bit_in_bfloat16_too(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    base = in_bf16(tiny_model, tmp_path / "narrow")
    adapter = made.make_adapter(base, tmp_path / "adapter")
    run(home, base, adapter, tmp_path / "merged")
    merged, wanted = tensors_of(tmp_path / "merged"), by_peft(base, adapter)
    assert all(tensor.dtype == torch.bfloat16 for tensor in merged.values())
    assert not [name for name in merged if not torch.equal(merged[name], wanted[name])]


def test_another_model_of_the_same_shapes_is_noticed(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    other = tiny.build(tmp_path / "other", seed=1)
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    known = adapters.AdapterFacts(base="tiny", base_digest=models.inspect(tiny_model).digest)
    (adapter / adapters.FACTS_FILE).write_bytes(msgspec.json.encode(known))
    assert not adapters.trained_elsewhere(adapter, tiny_model)
    job = Merge(adapter=str(adapter), out=str(tmp_path / "merged"), base=str(other))
    context = engines.context_of(home, job)
    merge.run(context)
    [note] = [event for event in engines.events_of(context) if isinstance(event, Note)]
    assert "was trained on tiny" in note.text


def test_plain_transformers_says_what_the_live_adapter_says(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    result = run(home, tiny_model, adapter, tmp_path / "merged")
    ids = load_tokenizer(tiny_model)("The capital of France is Paris.")["input_ids"]
    live = made.logits(made.with_peft(tiny_model, adapter), ids)
    merged = made.logits(made.load(tmp_path / "merged"), ids)
    # float32: only the order of additions differs
    torch.testing.assert_close(merged, live, atol=1e-4, rtol=0)
    assert (merged - made.logits(made.load(tiny_model), ids)).abs().max() > 0.01
    assert result["bytes"] == sum(f.stat().st_size for f in (tmp_path / "merged").iterdir())


def test_the_folder_is_a_whole_model(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    (base / "LICENSE").write_text("Apache", "utf-8")
    (base / "modeling.py").write_text("raise SystemExit", "utf-8")
    (base / "pytorch_model.bin").write_bytes(b"pickle")
    plain = made.make_adapter(base, tmp_path / "adapter")
    known = adapters.AdapterFacts(method="qlora", dataset="/home/somebody/private/orders.jsonl")
    adapter = adapters.add(home, plain, "Orders", known)
    (adapter / "chat_template.jinja").write_text("{{ 'trained with this' }}", "utf-8")
    run(home, base, adapter, tmp_path / "merged")
    out = tmp_path / "merged"
    assert models.errors(models.inspect(out)) == []
    names = {file.name for file in out.iterdir()}
    assert {"LICENSE", "generation_config.json", "tokenizer.json", "passport.json"} <= names
    assert not names & {"modeling.py", "pytorch_model.bin", "adapter_config.json"}
    assert (out / "chat_template.jinja").read_text("utf-8") == "{{ 'trained with this' }}"
    told = "".join(
        file.read_text("utf-8") for file in out.glob("*.[mj][ds]*[no]*") if file.is_file()
    )
    told += (out / "README.md").read_text("utf-8")
    assert "Orders" in told
    assert "orders.jsonl" in told
    assert "somebody" not in told
    assert str(tmp_path) not in told


def test_shards_stay_as_they_are(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    base = in_shards(tiny_model, tmp_path / "sharded")
    adapter = made.make_adapter(base, tmp_path / "adapter")
    run(home, base, adapter, tmp_path / "merged", dtype="bfloat16")
    out = tmp_path / "merged"
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
def test_another_dtype_is_rounded_once(
    home: Home, tmp_path: Path, tiny_model: Path, dtype: str
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    result = run(home, tiny_model, adapter, tmp_path / "merged", dtype)
    wanted, kind = by_peft(tiny_model, adapter), getattr(torch, dtype)
    merged = tensors_of(tmp_path / "merged")
    assert all(torch.equal(merged[name], wanted[name].to(kind)) for name in merged)
    assert models.config_of(tmp_path / "merged")["dtype"] == dtype
    assert result["passport"]["dtype"] == dtype


def test_a_qlora_adapter_goes_into_the_16_bit_base(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    from studio.engine.load import load_model

    base = in_bf16(tiny_model, tmp_path / "narrow")
    four = load_model(base, torch.bfloat16, bits=4, device=torch.device("cpu"))
    adapter = made.make_adapter(base, tmp_path / "adapter")
    live = made.with_peft(base, adapter, torch.bfloat16)
    quantised = made.attach_plain(four, adapter)
    run(home, base, adapter, tmp_path / "merged")
    ids = load_tokenizer(base)("The capital of France is Paris.")["input_ids"]
    merged = made.logits(made.load(tmp_path / "merged", torch.bfloat16), ids)
    # one rounding of bfloat16 apart from the 16-bit base with the adapter, and much nearer to it
    # than the 4-bit one is
    near = (merged - made.logits(live, ids)).abs().mean()
    far = (made.logits(quantised, ids) - made.logits(live, ids)).abs().mean()
    assert near < 0.1 * far


def test_a_quantised_base_is_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    from studio.engine.load import load_model

    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    four = load_model(tiny_model, torch.float32, bits=4, device=torch.device("cpu"))
    four.save_pretrained(tmp_path / "four bits")
    with pytest.raises(StudioError, match="round the training away"):
        run(home, tmp_path / "four bits", adapter, tmp_path / "merged")
    config = tmp_path / "four bits" / "config.json"
    hidden = json.loads(config.read_text("utf-8"))
    del hidden["quantization_config"]
    config.write_text(json.dumps(hidden), "utf-8")
    with pytest.raises(StudioError, match="Quantised base"):
        run(home, tmp_path / "four bits", adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_the_passport_tells_a_lost_adapter(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    good = run(home, tiny_model, adapter, tmp_path / "good")["passport"]
    assert good["grade"] == "pass"
    assert good["kl"] < 1e-4 < good["kl_without_adapter"]
    written = json.loads((tmp_path / "good" / "passport.json").read_text("utf-8"))
    assert written == msgspec.to_builtins(good)
    assert not {"prompt", "answer", "text", "examples"} & set(written)

    def lose(parts: object, change: adapter_changes.Change, rows: slice) -> torch.Tensor:
        return torch.zeros(1, 1)

    monkeypatch.setattr(adapter_changes, "product", lose)
    events = events_of(home, tiny_model, adapter, tmp_path / "lost")
    assert any(isinstance(event, Note) and "training isn't in it" in event.text for event in events)
    assert isinstance(events[-1], Finished)
    lost = events[-1].result["passport"]
    assert lost["grade"] == "fail"
    assert lost["kl"] == pytest.approx(lost["kl_without_adapter"], rel=1e-3)


def refused(home: Home, base: Path, adapter: Path, out: Path) -> StudioError:
    """Why this merge is refused; the target must be as it was."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else None
    with pytest.raises(StudioError) as caught:
        run(home, base, adapter, out)
    assert caught.value.fix
    if before is not None:
        assert sorted(out.parent.iterdir()) == before
    return caught.value


def test_targets_that_wont_do(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep", "utf-8")
    assert refused(home, tiny_model, adapter, full).title == "The folder is taken"
    assert (full / "mine.txt").read_text("utf-8") == "keep"
    inside = refused(home, tiny_model, adapter, tiny_model / "merged")
    assert inside.title == "Inside a model"
    assert refused(home, tiny_model, adapter, adapter / "x").title == "Inside an adapter"
    under = refused(home, tiny_model, adapter, full / "mine.txt" / "merged")
    assert under.title == "Folder is not writable"


def test_too_little_space_is_said_before_anything_is_written(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert refused(home, tiny_model, adapter, tmp_path / "merged").title == "Disk is full"


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(streaming_merge, "_write_tensor", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space") as caught:
        run(home, tiny_model, adapter, tmp_path / "merged")
    assert failures.to_error(caught.value).title == "Disk is full"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("targets", ["down_proj", "lm_head"], ids=["changed", "copied"])
def test_a_base_that_is_cut_short_meanwhile_is_no_zeros(
    tmp_path: Path, tiny_model: Path, targets: str
) -> None:
    base = untied(tiny_model, tmp_path / "base")
    modules = [targets] if targets != "lm_head" else ["q_proj"]
    adapter = made.make_adapter(base, tmp_path / "adapter", target_modules=modules)
    todo = streaming_merge.plan(base, adapter)
    place = {output.name: output.source for output in todo.outputs}
    name = next(n for n in place if n.endswith(f"{targets}.weight"))
    with (base / "model.safetensors").open("r+b") as file:
        file.truncate(place[name].begin + 10)
    (tmp_path / "out").mkdir()
    with pytest.raises(StudioError, match="ends before"):
        streaming_merge.write(todo, tmp_path / "out")


def test_another_bases_adapter_is_refused(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny, "HIDDEN", 32)
    other = made.make_adapter(tiny.build(tmp_path / "narrow"), tmp_path / "adapter")
    error = refused(home, tiny_model, other, tmp_path / "merged")
    assert error.title == "An adapter made for another base"


def test_a_stray_weight_is_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", target_modules=["q_proj"])
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors["base_model.model.model.layers.0.surprise.bias"] = torch.zeros(3)
    save_file(tensors, file)
    refused(home, tiny_model, adapter, tmp_path / "merged")
    tensors.pop("base_model.model.model.layers.0.surprise.bias")
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    save_file(tensors, file)
    assert refused(home, tiny_model, adapter, tmp_path / "merged").title == "Damaged adapter"


def test_numbers_too_large_are_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter", lora_alpha=1e9)
    job = Merge(
        adapter=str(adapter), out=str(tmp_path / "m"), base=str(tiny_model), dtype="float16"
    )
    with pytest.raises(StudioError, match="overflows"):
        merge.run(engines.context_of(home, job))


def test_cancel_leaves_nothing(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    job = Merge(adapter=str(adapter), out=str(tmp_path / "merged"), base=str(tiny_model))
    context = engines.context_of(home, job)
    jobs.tell(context.folder.path, Cancel())
    before = sorted(tmp_path.iterdir())
    merge.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
    assert sorted(tmp_path.iterdir()) == before


def test_progress_only_grows(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    job = Merge(adapter=str(adapter), out=str(tmp_path / "merged"), base=str(tiny_model))
    context = engines.context_of(home, job)
    merge.run(context)
    stages = [event for event in engines.events_of(context) if isinstance(event, Stage)]
    shares = [stage.share for stage in stages if stage.share is not None]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_the_starter_model_merged_as_peft_does(
    home: Home, tmp_path: Path, starter_model: Path
) -> None:
    adapter = made.make_adapter(starter_model, tmp_path / "adapter", lora_alpha=1)
    passport = run(home, starter_model, adapter, tmp_path / "merged")["passport"]
    assert passport["grade"] == "pass"
    wanted = by_peft(starter_model, adapter)
    with safe_open(tmp_path / "merged" / "model.safetensors", "pt") as merged:
        names = list(merged.keys())
        assert not [n for n in names if not torch.equal(merged.get_tensor(n), wanted[n])]
    assert len(names) == 272
