"""A model and its tokenizer, in the precision asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt

from studio.engine import load


def logits(folder: Path, **options: object) -> torch.Tensor:
    model = load.load_model(folder, **options)  # type: ignore[arg-type]
    with torch.inference_mode():
        return model(input_ids=torch.arange(4, 30)[None]).logits.float()


def test_without_a_wish_a_model_keeps_its_own_format(tiny_model: Path, tmp_path: Path) -> None:
    assert load.load_model(tiny_model).dtype == torch.float32
    copy = Path(shutil.copytree(tiny_model, tmp_path / "half"))
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}), "utf-8")
    assert load.stored_dtype(copy) == torch.bfloat16
    assert load.load_model(copy).dtype == torch.bfloat16


def test_smaller_formats_stay_close(tiny_model: Path) -> None:
    whole = logits(tiny_model, dtype=torch.float32)
    for bits, near in ((16, 0.02), (8, 0.05), (4, 0.35)):
        error = (logits(tiny_model, dtype=torch.bfloat16, bits=bits) - whole).std() / whole.std()
        assert 0 < error < near


@pytest.mark.parametrize(("bits", "kind"), [(4, Linear4bit), (8, Linear8bitLt)])
def test_every_linear_layer_but_the_head_is_quantized(
    tiny_model: Path, bits: load.Bits, kind: type[torch.nn.Module]
) -> None:
    model = load.load_model(tiny_model, torch.bfloat16, bits=bits)
    names = [name for name, module in model.named_modules() if isinstance(module, kind)]
    assert len(names) == 14
    assert not isinstance(model.get_output_embeddings(), kind)


def test_a_base_without_template_gets_the_studios(tiny_model: Path, tmp_path: Path) -> None:
    assert load.load_tokenizer(tiny_model).pad_token_id == 2
    copy = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    (copy / "chat_template.jinja").unlink()
    settings = json.loads((copy / "tokenizer_config.json").read_text("utf-8"))
    del settings["pad_token"]
    (copy / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    tokenizer = load.load_tokenizer(copy)
    assert "im_start" in tokenizer.chat_template
    assert tokenizer.pad_token == tokenizer.eos_token
