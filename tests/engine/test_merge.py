"""A merged folder is what base and adapter were together, or nothing is left of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open

from studio.core.commands import Cancel, Merge
from studio.core.events import Cancelled, Finished, Note, Stage
from studio.engine import adapter_changes, merge
from studio.engine.load import load_tokenizer
from studio.library import adapters, jobs, models
from studio.library.folders import Home
from tests.engine.merging import (
    by_peft,
    events_of,
    run,
)
from tests.support import adapters as made
from tests.support import engines
from tests.support import tiny_model as tiny


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
    assert "was trained on tiny, and other isn't that" in note.text


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
