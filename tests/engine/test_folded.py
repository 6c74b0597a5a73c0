"""Adapters speak from weights of their own: as PEFT would, and the base is never written to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.errors import StudioError
from studio.engine import beside, room
from studio.engine.conversation import BARE, Speaker
from studio.engine.load import load_model, load_tokenizer
from tests.support import adapters as made
from tests.support import random_models

PROMPT = [1, 5, 9, 40, 77, 130, 5, 9, 3, 200]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "rsdora with patterns": {"use_dora": True, "use_rslora": True, "rank_pattern": {"q_proj": 8}},
    "patterns": {"rank_pattern": {"layers.1.mlp.up_proj": 2}, "alpha_pattern": {"down_proj": 20}},
    "new norm": {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    "new head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "new embeddings": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "LoRA on both ends": {"target_modules": ["q_proj", "lm_head", "embed_tokens"]},
    "trained tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [1, 5, 9]},
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings(
    "ignore:Model has `tie_word_embeddings:UserWarning",
    "ignore:Setting `save_embedding_layers`:UserWarning",
)


def speaker_of(model: Path, dtype: torch.dtype = torch.float32) -> Speaker:
    loaded = load_model(model, dtype, device=torch.device("cpu"))
    return Speaker(model, loaded, load_tokenizer(model))


def said(speaker: Speaker, side: str) -> torch.Tensor:
    with speaker.speaking(side) as model:
        return made.logits(model, PROMPT)


def bytes_of(speaker: Speaker) -> dict[str, tuple[int, bytes]]:
    """Of every weight, where it lies and what is in it."""
    return {
        name: (weight.data_ptr(), weight.detach().view(torch.uint8).numpy().tobytes())
        for name, weight in speaker.base.named_parameters(remove_duplicate=False)
    }


def adapter_of(model: Path, out: Path, kind: str, seed: int = 0) -> Path:
    """An adapter of which every part changes what is said."""
    adapter = made.make_adapter(model, out, seed=seed, **KINDS[kind])
    file = adapter / "adapter_model.safetensors"
    torch.manual_seed(seed)
    tensors = {
        name: weight if "lora_" in name or "base_layer" in name else weight + 0.3
        for name, weight in load_file(file).items()
    }
    tensors |= {n: torch.randn_like(t) * 0.3 for n, t in tensors.items() if "embedding_B" in n}
    save_file(tensors, file, metadata={"format": "pt"})
    return adapter


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_peft_would_and_leaves_the_base_as_it_was(
    tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    adapter = adapter_of(tiny_model, tmp_path / "adapter", kind)
    speaker = speaker_of(tiny_model)
    before, bare = bytes_of(speaker), said(speaker, BARE)
    speaker.load(str(adapter))
    assert speaker.own_bytes(str(adapter)) > 0
    assert speaker.model is speaker.base, "nothing was put onto the model"
    wanted = made.logits(made.with_peft(tiny_model, adapter), PROMPT)
    assert torch.allclose(said(speaker, str(adapter)), wanted, atol=2e-5)
    assert not torch.allclose(wanted, bare, atol=1e-2)
    assert torch.equal(said(speaker, BARE), bare)
    speaker.hold([])
    assert bytes_of(speaker) == before
    assert torch.equal(said(speaker, BARE), bare)


def test_many_come_and_go_in_16_bits(tiny_model: Path, tmp_path: Path) -> None:
    kinds = ("plain", "dora", "new head", "rslora")
    found = [str(adapter_of(tiny_model, tmp_path / kind, kind, 3)) for kind in kinds]
    speaker = speaker_of(tiny_model, torch.bfloat16)
    before, bare = bytes_of(speaker), said(speaker, BARE)
    alone = []
    for adapter in found:
        speaker.hold([adapter])
        alone.append(said(speaker, adapter))
    speaker.hold(found)
    for _ in range(2):
        assert all(torch.equal(said(speaker, a), was) for a, was in zip(found, alone, strict=True))
        assert torch.equal(said(speaker, BARE), bare)
    speaker.hold(found[1:2])
    assert torch.equal(said(speaker, found[1]), alone[1])
    speaker.hold([])
    assert bytes_of(speaker) == before


def test_an_error_while_it_speaks_hangs_the_base_back(tiny_model: Path, tmp_path: Path) -> None:
    adapter = str(adapter_of(tiny_model, tmp_path / "adapter", "plain"))
    speaker = speaker_of(tiny_model)
    speaker.load(adapter)
    before = bytes_of(speaker)

    def fail() -> None:
        with speaker.speaking(adapter):
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail()
    assert bytes_of(speaker) == before


def test_without_room_it_lies_beside_the_base_and_says_the_same(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        str(adapter_of(tiny_model, tmp_path / kind, kind, 5)) for kind in ("plain", "dora")
    )
    speaker = speaker_of(tiny_model)
    before, bare = bytes_of(speaker), said(speaker, BARE)
    speaker.load(first)
    folded = said(speaker, first)
    monkeypatch.setattr(room, "spare", lambda device: 1000)
    speaker.load(second)
    assert (speaker.own_bytes(first) > 0, speaker.own_bytes(second)) == (True, 0)
    wanted = made.logits(made.with_peft(tiny_model, Path(second)), PROMPT)
    for _ in range(2):
        assert torch.allclose(said(speaker, second), wanted, atol=2e-5)
        assert torch.equal(said(speaker, first), folded)
        assert torch.equal(said(speaker, BARE), bare)
    speaker.hold([first])
    assert torch.equal(said(speaker, first), folded)
    speaker.hold([])
    assert bytes_of(speaker) == before


@pytest.mark.parametrize("kinds", [("trained tokens", "plain"), ("plain", "trained tokens")])
def test_trained_tokens_and_a_plain_adapter_lie_beside_each_other(
    tiny_model: Path, tmp_path: Path, kinds: tuple[str, str]
) -> None:
    """In whatever order they come; PEFT alone fails where the plain one comes second."""
    found = [str(adapter_of(tiny_model, tmp_path / kind, kind, 5)) for kind in kinds]
    base = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
    speaker = Speaker(tiny_model, base, load_tokenizer(tiny_model), fold=False)
    before, bare = bytes_of(speaker), said(speaker, BARE)
    for one in found:
        speaker.need([one])
    for one in found:
        wanted = made.logits(made.with_peft(tiny_model, Path(one)), PROMPT)
        assert torch.equal(said(speaker, one), wanted)
    assert torch.equal(said(speaker, BARE), bare)
    speaker.hold(found[1:])
    wanted = made.logits(made.with_peft(tiny_model, Path(found[1])), PROMPT)
    assert torch.equal(said(speaker, found[1]), wanted)
    speaker.hold([])
    assert bytes_of(speaker) == before


def test_a_base_in_4_bits_is_left_to_peft(tmp_path: Path, tiny_model: Path) -> None:
    model = random_models.build(tmp_path / "model", "llama", tiny_model)
    adapter = made.make_adapter(model, tmp_path / "adapter")
    loaded = load_model(model, torch.bfloat16, bits=4, device=torch.device("cpu"))
    speaker = Speaker(model, loaded, load_tokenizer(model))
    bare = said(speaker, BARE)
    speaker.load(str(adapter))
    assert speaker.own_bytes(str(adapter)) == 0
    assert not torch.equal(said(speaker, str(adapter)), bare)
    assert torch.equal(said(speaker, BARE), bare)


def test_a_mixture_of_experts_speaks_as_with_peft(tmp_path: Path, tiny_model: Path) -> None:
    model = random_models.build(tmp_path / "model", "qwen3_moe", tiny_model, num_hidden_layers=2)
    adapter = made.make_adapter(model, tmp_path / "adapter", target_modules=["q_proj", "v_proj"])
    speaker = speaker_of(model)
    speaker.load(str(adapter))
    wanted = made.logits(made.with_peft(model, adapter), PROMPT)
    assert torch.allclose(said(speaker, str(adapter)), wanted, atol=2e-5)


def test_weights_of_another_base_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "one", target_modules=["q_proj"])
    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    file = other / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(n for n in tensors if "lora_A" in n).replace("lora_A.weight", "base_layer.weight")
    tensors[name] = torch.randn(64, 64)
    save_file(tensors, file, metadata={"format": "pt"})
    speaker = speaker_of(tiny_model)
    with pytest.raises(StudioError, match="weights of the base"):
        speaker.load(str(other))
    assert speaker.adapters == ()


@pytest.mark.parametrize("free", [0, 1 << 40], ids=["none", "plenty"])
def test_bits_follow_the_room(tiny_model: Path, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "spare", lambda device: free)
    fit = room.decide(tiny_model, "auto", torch.bfloat16, torch.device("cpu"))
    assert fit.bits == (16 if free else 4)
    assert "GB" in fit.reason
    assert room.decide(tiny_model, "4", torch.bfloat16, torch.device("cpu")).bits == 4
    with pytest.raises(StudioError, match="bits"):
        room.decide(tiny_model, "5", torch.bfloat16, torch.device("cpu"))


def test_attach_is_still_peft(tiny_model: Path, tmp_path: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    loaded = beside.attach(load_model(tiny_model, torch.float32), adapter)
    wanted = made.logits(made.with_peft(tiny_model, adapter), PROMPT)
    assert torch.equal(made.logits(loaded, PROMPT), wanted)
