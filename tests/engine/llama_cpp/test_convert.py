"""llama.cpp's converter in its own process: what it writes, what it refuses, how it is given up."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import gguf
import pytest
import torch

from studio.core.errors import StudioError
from studio.engine.llama_cpp import convert
from studio.engine.llama_cpp.model import GgufModel
from studio.engine.load import load_tokenizer
from tests.engine.llama_cpp.conftest import nothing
from tests.support import adapters

TEXT = "<|im_start|>user\nÄpfel, 1234 & naïve cafés?\n\tyes<|im_end|>\n"


def text_of(file: Path, key: str) -> object:
    field = gguf.GGUFReader(file).get_field(key)
    return None if field is None else field.contents()


def test_a_converted_model_answers_as_the_folder_does(small: Path, small_gguf: Path) -> None:
    tokenizer = load_tokenizer(small)
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    with GgufModel(small_gguf, context=256, threads=1) as model:
        assert model.tokenize(TEXT) == ids
        assert model.template == (small / "chat_template.jinja").read_text("utf-8")
        assert (model.bos, model.eos) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert model.is_stop(int(tokenizer.convert_tokens_to_ids("<|im_end|>")))  # type: ignore[arg-type]
        told = torch.from_numpy(model.logits(ids, 0))
    live = adapters.logits(adapters.load(small), ids)
    assert (told.argmax(-1) == live.argmax(-1)).all()
    assert (told - live).abs().mean() < 0.005 * live.abs().mean()


def test_name_and_licence_stand_in_the_file(small_gguf: Path) -> None:
    assert text_of(small_gguf, "general.name") == "Small one"
    assert text_of(small_gguf, "general.license.name") == "apache-2.0"
    assert not list(small_gguf.parent.glob("*.json"))


def test_a_tokenizer_that_llama_cpp_has_no_name_for_is_refused(
    small: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudioError, match="splits words") as caught:
        convert.model(tiny_model, tmp_path / "a.gguf", "f32", name="a", licence="", tick=nothing)
    assert "safetensors" in caught.value.fix


def test_code_in_a_model_folder_stays_unread(small: Path, tmp_path: Path) -> None:
    """The converter itself would run it: it trusts every folder."""
    folder = shutil.copytree(small, tmp_path / "trap")
    (folder / "trap.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
        "from transformers import PreTrainedTokenizerFast as Trap\n",
        "utf-8",
    )
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    settings |= {"auto_map": {"AutoTokenizer": ["trap.Trap", "trap.Trap"]}}
    settings["tokenizer_class"] = "Trap"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    with contextlib.suppress(StudioError):
        convert.model(folder, tmp_path / "a.gguf", "f16", name="a", licence="", tick=nothing)
    assert not (tmp_path / "ran").exists()


def test_a_conversion_can_be_given_up(small: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def tick(share: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        convert.model(small, tmp_path / "a.gguf", "f32", name="a", licence="", tick=tick)
    assert not list(tmp_path.glob("*.json"))
