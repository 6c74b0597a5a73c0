"""Every format that transformers and peft read: written, loaded as its card says, judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.core import exporting
from studio.core import passport as core
from studio.core.commands import Cancel, Export
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Cancelled, Finished, Note, Stage
from studio.engine import children
from studio.engine.export import job as exports_job
from studio.engine.export.merged import Merged
from studio.engine.load import load_tokenizer, never_repack
from studio.library import adapters, exports, jobs
from studio.library.folders import Home
from tests.engine.test_base_choice import hold_out, of_qlora
from tests.support import adapters as made
from tests.support import engines


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from more, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def events_of(home: Home, **fields: Any) -> list[AnyEvent]:
    context = engines.context_of(home, Export(**fields))
    exports_job.run(context)
    return engines.events_of(context)


def run(home: Home, **fields: Any) -> dict[str, Any]:
    last = events_of(home, **fields)[-1]
    assert isinstance(last, Finished)
    return last.result


def logits(model: Any, folder: Path) -> torch.Tensor:
    return made.logits(
        model, load_tokenizer(folder)("The capital of France is Paris.")["input_ids"]
    )


def test_the_bare_adapter_loads_with_plain_peft(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    plain = made.make_adapter(tiny_model, tmp_path / "plain")
    known = adapters.AdapterFacts(
        method="lora", dataset="/home/somebody/secret/orders.jsonl", eval_loss=1.25
    )
    adapter = adapters.add(home, plain, "Orders", known)
    out = tmp_path / "orders-lora"
    result = run(home, format="adapter", out=str(out), model=str(tiny_model), adapter=str(adapter))
    assert result["passport"]["grade"] == "pass"
    assert result["passport"]["kl"] == 0.0
    config = json.loads((out / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == tiny_model.name
    again = PeftModel.from_pretrained(made.load(tiny_model), str(out)).eval()
    wanted = logits(made.with_peft(tiny_model, adapter), tiny_model)
    assert torch.equal(logits(again, tiny_model), wanted)
    card = (out / "README.md").read_text("utf-8")
    for told in ("Orders", "orders.jsonl", "1.2500", "## Passport", "PeftModel.from_pretrained"):
        assert told in card
    every = "".join(file.read_text("utf-8", "replace") for file in out.iterdir())
    assert "somebody" not in every
    assert str(tmp_path) not in every


def test_the_4_bit_base_with_the_adapter_is_what_was_trained(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    adapter = of_qlora(home, tiny_model)
    hold_out(home)
    out = tmp_path / "four"
    fields = {"format": "nf4-adapter", "model": str(tiny_model), "adapter": str(adapter)}
    result = run(home, out=str(out), **fields)
    found = result["passport"]
    assert found["grade"] == "pass"
    assert found["loss"] == pytest.approx(found["loss_trained"], abs=1e-3)
    assert not list(out.glob("**/*.bin"))
    model: Any = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    assert model.config.quantization_config.bnb_4bit_quant_type == "nf4"
    never_repack(model)
    live = PeftModel.from_pretrained(model, str(out / "adapter")).eval()
    assert AutoTokenizer.from_pretrained(out).chat_template
    assert torch.isfinite(logits(live, out)).all()


def test_what_4_bits_cost_an_adapter_of_16_bits_is_seen(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    """It says what it says on the 4-bit base, and its held-out loss is beside that in 16 bits."""
    sharp = with_a_sharp_head(tiny_model, tmp_path / "sharp")
    adapter = of_qlora(home, sharp, "lora")
    hold_out(home)
    fields = {"model": str(sharp), "adapter": str(adapter)}
    beside = run(home, format="nf4-adapter", out=str(tmp_path / "four"), **fields)["passport"]
    merged = run(home, format="safetensors", out=str(tmp_path / "merged"), **fields)["passport"]
    assert beside["loss_trained"] == pytest.approx(merged["loss_trained"], abs=1e-3)
    assert abs(beside["loss"] - beside["loss_trained"]) > 0.05
    assert beside["loss"] == pytest.approx(beside["loss_live"], abs=1e-3)
    [check] = [check for check in beside["checks"] if check["name"] == "loss"]
    limits = core.TOLERANCES["4-bit base"]
    allowed = core.loss_allowed(beside["loss_trained"], beside["loss_bare"], limits)
    assert check["wanted"] == pytest.approx(allowed)


def with_a_sharp_head(model: Path, out: Path) -> Path:
    """A model whose logits are so far apart that small changes in it change answers."""
    shutil.copytree(model, out)
    tensors = load_file(out / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] * 1500
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((out / "config.json").read_text("utf-8")) | {"tie_word_embeddings": False}
    (out / "config.json").write_text(json.dumps(config), "utf-8")
    return out


def test_a_merged_model_rounded_again_fails_where_that_outweighs_the_training(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    sharp = with_a_sharp_head(tiny_model, tmp_path / "sharp")
    weak = made.make_adapter(sharp, tmp_path / "weak", lora_alpha=0.02)
    adapter = adapters.add(home, weak, "weak", adapters.AdapterFacts(method="lora"))
    out = tmp_path / "again"
    events = events_of(
        home, format="nf4", out=str(out), model=str(sharp), adapter=str(adapter), check="quick"
    )
    last = events[-1]
    assert isinstance(last, Finished)
    found = last.result["passport"]
    assert found["grade"] == "fail"
    assert found["kl"] > found["kl_without_adapter"]
    assert any(isinstance(e, Note) and "rounded too far" in e.text for e in events)
    assert "**This export failed its check.**" in (out / "README.md").read_text("utf-8")
    assert json.loads((out / "passport.json").read_text("utf-8"))["grade"] == "fail"
    [kept] = exports.listing(home, str(adapter))
    assert kept.passport is not None
    assert kept.passport.grade == "fail"
    assert adapters.facts(adapter).made[-1].grade == "fail"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_a_model_alone_in_another_number_format(
    home: Home, tmp_path: Path, tiny_model: Path, dtype: str
) -> None:
    out = tmp_path / "narrow"
    fields = {"format": "safetensors", "model": str(tiny_model), "dtype": dtype}
    found = run(home, out=str(out), **fields)["passport"]
    assert found["grade"] == "pass"
    assert found["kl_without_adapter"] is None
    assert made.load(out, getattr(torch, dtype)).dtype == getattr(torch, dtype)


def test_onnx_in_its_own_runtime(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    out = tmp_path / "onnx"
    fields = {"format": "onnx", "quantization": "fp32", "model": str(tiny_model)}
    events = events_of(home, out=str(out), adapter=str(adapter), check="quick", **fields)
    last = events[-1]
    assert isinstance(last, Finished)
    found = last.result["passport"]
    assert found["runtime"] == "onnxruntime-genai"
    assert found["grade"] == "pass"
    assert found["kl"] < 1e-5
    names = {file.name for file in out.iterdir()}
    shares = [event.share for event in events if isinstance(event, Stage)]
    assert shares == sorted(shares)
    assert len({share for share in shares if share < exports_job.WRITE_SHARE}) >= 2
    assert {"model.onnx", "genai_config.json", "tokenizer.json", "README.md"} <= names
    assert not names & {"merged", "cache", "builder.log"}


def test_examples_stay_in_the_library(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = of_qlora(home, tiny_model, "lora")
    hold_out(home)
    out = tmp_path / "merged"
    run(home, format="safetensors", out=str(out), model=str(tiny_model), adapter=str(adapter))
    [kept] = exports.listing(home)
    shown = exports.examples(kept)
    assert shown
    assert shown[0].live
    told = "".join(file.read_text("utf-8", "replace") for file in out.glob("*.json"))
    assert not any(example.prompt in told for example in shown if len(example.prompt) > 8)
    assert kept.there
    assert kept.bytes == sum(file.stat().st_size for file in out.iterdir())


def test_what_stands_in_the_way_is_said_before_anything_is_written(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    fields = {"out": str(tmp_path / "out"), "model": str(tiny_model)}
    for wrong, title in (
        ({"format": "tea"}, "Unknown format"),
        ({"format": "adapter"}, "No adapter"),
        ({"format": "nf4", "quantization": "Q9"}, "Unknown quantization"),
    ):
        with pytest.raises(StudioError) as caught:
            run(home, **fields, **wrong)
        assert caught.value.title == title
        assert caught.value.fix
    assert not (tmp_path / "out").exists()
    assert exports.listing(home) == []


def test_onnx_ends_at_once_when_it_is_called_off(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Export(format="onnx", out=str(tmp_path / "onnx"), model=str(tiny_model))
    context = engines.context_of(home, job)
    start = children.run

    def start_and_cancel(command: Any, hear: Any, tick: Any) -> Any:
        jobs.tell(context.folder.path, Cancel())
        return start(command, hear, tick)

    monkeypatch.setattr(children, "run", start_and_cancel)
    exports_job.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
    assert not list(tmp_path.glob("*onnx*"))


def test_cancelled_in_the_middle_nothing_is_left(
    home: Home, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = made.make_adapter(tiny_model, tmp_path / "adapter")
    out = tmp_path / "out"
    job = Export(format="safetensors", out=str(out), model=str(tiny_model), adapter=str(adapter))
    context = engines.context_of(home, job)
    opened = Merged.open

    def open_and_cancel(self: Merged, folder: Path) -> Any:
        jobs.tell(context.folder.path, Cancel())
        return opened(self, folder)

    monkeypatch.setattr(Merged, "open", open_and_cancel)
    before = sorted(tmp_path.iterdir())
    exports_job.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
    assert sorted(tmp_path.iterdir()) == before
    assert exports.listing(home) == []


def test_every_format_says_who_reads_it() -> None:
    for format in exporting.FORMATS:
        assert format.readers
        assert format.text.endswith(".")
        assert exporting.find(format.id) is format
