"""Adapters as GGUF say on a converted base what they say in PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.core.errors import StudioError
from studio.engine.llama_cpp import lora
from studio.engine.llama_cpp.model import GgufModel
from tests.engine.llama_cpp.conftest import nothing
from tests.support import adapters

IDS = list(range(50, 400, 5))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True, "r": 8, "alpha_pattern": {"q_proj": 3}, "rank_pattern": {"v_proj": 2}},
    ],
    ids=["plain", "rsLoRA with patterns"],
)
def test_an_adapter_has_its_strength(
    small: Path, small_gguf: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    adapter = adapters.make_adapter(small, tmp_path / "adapter", **settings)
    out = tmp_path / "adapter.gguf"
    lora.write(adapter, small, out, nothing)
    live = adapters.logits(adapters.with_peft(small, adapter), IDS)
    bare = adapters.logits(adapters.load(small), IDS)
    with GgufModel(small_gguf, context=256, threads=1, adapter=out) as model:
        told = torch.from_numpy(model.logits(IDS, 0))
    assert (told.argmax(-1) == live.argmax(-1)).float().mean() > 0.98
    assert (told - live).abs().mean() < 0.01 * (bare - live).abs().mean()


@pytest.mark.filterwarnings("ignore:Model has `tie_word")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["embed_tokens"]}, "as a whole"),
        ({"trainable_token_indices": [1, 2]}, "token embeddings"),
    ],
)
def test_what_llama_cpp_has_no_form_for_is_named(
    small: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    adapter = adapters.make_adapter(small, tmp_path / "adapter", **settings)
    with pytest.raises(StudioError, match=words) as caught:
        lora.write(adapter, small, tmp_path / "a.gguf", nothing)
    assert "merged" in caught.value.fix
