"""Merges for tests: run, refused, and what peft makes of the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.commands import Merge
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Finished
from studio.engine import merge
from studio.library.folders import Home
from tests.support import adapters as made
from tests.support import engines


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


def refused(home: Home, base: Path, adapter: Path, out: Path) -> StudioError:
    """Why this merge is refused; the target must be as it was."""
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else None
    with pytest.raises(StudioError) as caught:
        run(home, base, adapter, out)
    assert caught.value.fix
    if before is not None:
        assert sorted(out.parent.iterdir()) == before
    return caught.value


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
