"""What was made by peft elsewhere answers here as it does there, to the last digit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from studio.core.errors import StudioError
from studio.engine.beside import attach
from studio.engine.conversation import Speaker
from studio.engine.load import load_tokenizer
from studio.library import adapters
from studio.library.folders import Home
from tests.support import gguf_adapter, random_models
from tests.support import tiny_model as tiny
from tests.support.adapters import load, logits, make_adapter, with_peft

IDS = [1, 40, 7, 300, 55, 2, 9]

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {
        "rank_pattern": {"q_proj": 8, r"layers\.1\.mlp\.up_proj": 2},
        "alpha_pattern": {"v_proj": 32},
    },
    "whole modules": {"modules_to_save": ["norm"]},
    "new head": {"modules_to_save": ["lm_head"]},
    "whole embeddings": {"modules_to_save": ["embed_tokens"]},
    "trained tokens": {"trainable_token_indices": [3, 7, 40]},
    "trained tokens of a named layer": {"trainable_token_indices": {"embed_tokens": [3, 7]}},
    "embeddings": {"target_modules": ["embed_tokens", "q_proj"]},
    "biases of the LoRA": {"lora_bias": True, "init_lora_weights": True},
    "a regular expression": {"target_modules": r".*layers\.1\..*(q|v)_proj"},
}

BIASES: dict[str, dict[str, Any]] = {
    "all biases": {"bias": "all"},
    "biases of the adapted layers": {"bias": "lora_only", "target_modules": ["q_proj", "up_proj"]},
}

pytestmark = pytest.mark.filterwarnings(
    "ignore:Model has `tie_word_embeddings:UserWarning",
    "ignore:Setting `save_embedding_layers`:UserWarning",
    "ignore:`lora_bias=True` was passed",
    "ignore:Adapter 'default'.*lora_B.bias",  # peft takes a bias for a broken matrix
)


def stirred(model: Path, out: Path, settings: dict[str, Any]) -> Path:
    """An adapter whose every learnt tensor differs from what it began as."""
    from safetensors.torch import load_file, save_file

    folder = make_adapter(model, out, **settings)
    file = folder / "adapter_model.safetensors"
    torch.manual_seed(3)
    tensors = {
        name: value + 0.05 * torch.randn_like(value) for name, value in load_file(file).items()
        if not name.endswith(".base_layer.weight")
    }  # fmt: skip
    save_file(tensors, file, metadata={"format": "pt"})
    return folder


@pytest.fixture
def model(home: Home, tiny_model: Path) -> Path:
    return Path(shutil.copytree(tiny_model, home.models / "tiny-llama"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_imported_adapter_gives_pefts_logits(
    home: Home, model: Path, tmp_path: Path, kind: str
) -> None:
    made = stirred(model, tmp_path / "made elsewhere", KINDS[kind])
    [folder] = adapters.import_path(home, made)
    known = adapters.facts(folder)
    assert not known.problem
    assert adapters.base_of(home, known) == model
    expected = logits(with_peft(model, made), IDS)
    assert torch.equal(logits(attach(load(model), folder), IDS), expected)
    assert not torch.allclose(expected, logits(load(model), IDS), atol=1e-3)


@pytest.mark.parametrize("kind", BIASES)
def test_trained_biases_come_and_go_with_their_adapter(
    home: Home, model: Path, tmp_path: Path, kind: str
) -> None:
    base = random_models.build(home.models / "biased", "qwen2", model, vocab_size=512)
    made = stirred(base, tmp_path / "made elsewhere", BIASES[kind])
    [folder] = adapters.import_path(home, made)
    expected, bare = logits(with_peft(base, made), IDS), logits(load(base), IDS)
    assert "biases" in adapters.facts(folder).variants
    assert torch.equal(logits(attach(load(base), folder), IDS), expected)
    speaker = Speaker(base, load(base), load_tokenizer(base))
    speaker.hold([str(folder)])
    for side, wanted in ((str(folder), expected), ("", bare), (str(folder), expected)):
        with speaker.speaking(side) as voice:
            assert torch.allclose(logits(voice, IDS), wanted, atol=1e-4)
    assert not torch.allclose(expected, bare, atol=1e-3)
    unfolded = Speaker(base, load(base), load_tokenizer(base), fold=False)
    with pytest.raises(StudioError, match="16-bit base"):
        unfolded.hold([str(folder)])


def test_an_archive_gives_the_same(home: Home, model: Path, tmp_path: Path) -> None:
    made = stirred(model, tmp_path / "made", {})
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "made"))
    [folder] = adapters.import_path(home, archive)
    assert torch.equal(
        logits(attach(load(model), folder), IDS), logits(with_peft(model, made), IDS)
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"target_modules": ["q_proj", "k_proj", "embed_tokens"]},
        {"rank_pattern": {"q_proj": 8, "up_proj": 2}},
    ],
    ids=["all linear", "with embeddings", "several ranks"],
)
def test_a_gguf_adapter_is_read_back(
    home: Home, model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """llama.cpp scales by alpha over each weight's own rank, as peft does with a rank pattern."""
    made = stirred(model, tmp_path / "made", settings)
    file = gguf_adapter.write(made, model, tmp_path / "made.gguf")
    [folder] = adapters.import_path(home, file)
    assert adapters.base_of(home, adapters.facts(folder)) == model
    assert torch.equal(
        logits(attach(load(model), folder), IDS), logits(with_peft(model, made), IDS)
    )


def test_a_gguf_adapter_without_an_alpha_is_scaled_by_one(
    home: Home, model: Path, tmp_path: Path
) -> None:
    ranks = {"q_proj": 8}
    made = stirred(model, tmp_path / "made", {"rank_pattern": ranks})
    file = gguf_adapter.write(made, model, tmp_path / "made.gguf", alpha=0.0)
    config = json.loads((made / "adapter_config.json").read_text("utf-8"))
    config |= {"lora_alpha": 4, "alpha_pattern": ranks}
    (made / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    [folder] = adapters.import_path(home, file)
    assert torch.equal(
        logits(attach(load(model), folder), IDS), logits(with_peft(model, made), IDS)
    )


def test_a_rounded_gguf_adapter_is_near(home: Home, model: Path, tmp_path: Path) -> None:
    made = stirred(model, tmp_path / "made", {"r": 32, "target_modules": ["up_proj", "q_proj"]})
    q8 = gguf.GGMLQuantizationType.Q8_0
    file = gguf_adapter.write(made, model, tmp_path / "made.gguf", quantization=q8)
    [folder] = adapters.import_path(home, file)
    exact = logits(with_peft(model, made), IDS)
    found = logits(attach(load(model), folder), IDS)
    assert 0 < (found - exact).abs().max() < 0.05 * exact.abs().max()


def test_of_several_models_that_fit_the_base_is_asked_for(
    home: Home, model: Path, tmp_path: Path
) -> None:
    made = stirred(model, tmp_path / "made", {})
    file = gguf_adapter.write(made, model, tmp_path / "made.gguf")
    other = tiny.build(home.models / "other", seed=1)
    with pytest.raises(adapters.BaseMissing, match="several models here"):
        adapters.import_path(home, file)
    [folder] = adapters.import_path(home, file, model)
    assert adapters.base_of(home, adapters.facts(folder)) == model
    shutil.rmtree(model)
    shutil.rmtree(other)
    with pytest.raises(adapters.BaseMissing, match="no model here fits"):
        adapters.import_path(home, file)


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({"kind": "model"}, "A model, not an adapter"),
        ({"method": "control_vector"}, "A GGUF adapter that can't be read back"),
        ({"architecture": "falcon"}, "A GGUF adapter that can't be read back"),
        ({"leave_out": "attn_q.weight.lora_a"}, "Damaged adapter"),
        ({"leave_out": "lora"}, "Damaged adapter"),
    ],
    ids=["a model", "a control vector", "an unknown order", "half a pair", "nothing"],
)
def test_gguf_files_that_cannot_be_read_back(
    home: Home, model: Path, tmp_path: Path, options: dict[str, Any], title: str
) -> None:
    made = make_adapter(model, tmp_path / "made", target_modules=["q_proj"])
    if options.get("architecture") == "falcon":
        file = tmp_path / "falcon.gguf"
        writer = gguf.GGUFWriter(file, "falcon")
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    else:
        file = gguf_adapter.write(made, model, tmp_path / "made.gguf", **options)
    with pytest.raises(StudioError) as refused:
        adapters.import_path(home, file)
    assert refused.value.title == title
    assert refused.value.fix
    assert list(home.adapters.iterdir()) == []


def test_a_gguf_file_cut_short(home: Home, model: Path, tmp_path: Path) -> None:
    made = make_adapter(model, tmp_path / "made")
    file = gguf_adapter.write(made, model, tmp_path / "made.gguf")
    whole = file.read_bytes()
    for length in (0, 3, 10, 200, len(whole) // 2):
        file.write_bytes(whole[:length])
        with pytest.raises(StudioError):
            adapters.import_path(home, file)
    assert list(home.adapters.iterdir()) == []
