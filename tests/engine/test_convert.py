"""GGUF files become model folders that answer alike, or a sentence and nothing on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from studio.core import events
from studio.core.commands import Cancel, Import
from studio.core.errors import StudioError
from studio.engine import convert, gguf_file, load
from studio.engine.channel import Channel
from studio.engine.job import Context
from studio.library import jobs, models
from studio.library.folders import Home, JobFolder
from tests.support import gguf_maker
from tests.support.gguf_maker import Quantization

TEXT = "What is the capital of France? 1,234 naïve [true]\n"


def context_of(home: Home, source: Path, out: Path) -> Context:
    job = Import(source=str(source), out=str(out), name="Tiny again")
    folder = jobs.create(home, job)
    return Context(home=home, folder=JobFolder(folder), job=job, channel=Channel(folder))


def convert_to(home: Home, source: Path, out: Path) -> events.AnyEvent:
    """Run the import in this process; its last event."""
    context = context_of(home, source, out)
    convert.run(context)
    return jobs.read_events(context.folder.path)[0][-1]


def logits_of(folder: Path) -> torch.Tensor:
    model = load.load_model(folder, torch.float32, device=torch.device("cpu"))
    ids = load.load_tokenizer(folder)(TEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits


def as_qwen(model: Path, folder: Path) -> Path:
    """The tiny Llama as a Qwen2, which is the same with a bias on query, key and value."""
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    weights = load_file(folder / "model.safetensors")
    random = np.random.default_rng(1)
    for name in [n for n in weights if n.split(".")[-2] in ("q_proj", "k_proj", "v_proj")]:
        bias = random.normal(0, 0.5, weights[name].shape[0]).astype(np.float32)
        weights[name.replace(".weight", ".bias")] = bias
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def nothing_left(home: Home) -> bool:
    return list(home.models.iterdir()) == []


class TestConverted:
    def test_the_folder_answers_as_the_model_did(
        self, home: Home, tiny_model: Path, tmp_path: Path
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
        out = home.models / "tiny"
        last = convert_to(home, source, out)
        assert isinstance(last, events.Finished)
        assert last.result["path"] == str(out)
        torch.testing.assert_close(logits_of(out), logits_of(tiny_model))

    def test_facts_tokenizer_and_template_come_along(
        self, home: Home, tiny_model: Path, tmp_path: Path
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
        convert_to(home, source, home.models / "tiny")
        (facts,) = models.listing(home)
        assert facts.problems == ()
        assert (facts.name, facts.licence, facts.dtype) == ("Tiny again", "cc0-1.0", "float32")
        assert facts.has_chat_template
        before, after = load.load_tokenizer(tiny_model), load.load_tokenizer(Path(facts.path))
        assert after(TEXT)["input_ids"] == before(TEXT)["input_ids"]
        assert after.eos_token == "<|im_end|>"
        said = [{"role": "user", "content": "Hello"}]
        assert after.apply_chat_template(said, tokenize=False) == before.apply_chat_template(
            said, tokenize=False
        )

    def test_another_architecture(self, home: Home, tiny_model: Path, tmp_path: Path) -> None:
        qwen = as_qwen(tiny_model, tmp_path / "qwen")
        source = gguf_maker.write(qwen, tmp_path / "qwen.gguf", architecture="qwen2")
        convert_to(home, source, home.models / "tiny")
        (facts,) = models.listing(home)
        assert facts.architecture == "Qwen2ForCausalLM"
        before, after = load.load_tokenizer(qwen), load.load_tokenizer(Path(facts.path))
        assert after(TEXT)["input_ids"] == before(TEXT)["input_ids"]
        plain = Tokenizer.from_file(str(Path(facts.path) / "tokenizer.json"))
        assert plain.encode(TEXT).ids == before(TEXT)["input_ids"]
        torch.testing.assert_close(logits_of(home.models / "tiny"), logits_of(qwen))

    def test_digits_are_split_where_the_file_says_so(
        self, home: Home, tiny_model: Path, tmp_path: Path
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf", splits="smollm")
        assert isinstance(convert_to(home, source, home.models / "tiny"), events.Finished)
        tokens = load.load_tokenizer(home.models / "tiny").tokenize("in 1234567890")
        assert tokens[-11:] == ["Ġ", *"1234567890"]
        general = load.load_tokenizer(tiny_model).tokenize("in 1234567890")
        assert tokens != general

    def test_an_unknown_way_to_split_is_said(
        self, home: Home, tiny_model: Path, tmp_path: Path
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf", splits="zorp")
        context = context_of(home, source, home.models / "tiny")
        convert.run(context)
        said = [e for e in jobs.read_events(context.folder.path)[0] if isinstance(e, events.Note)]
        assert ["zorp" in note.text for note in said] == [True]

    def test_quantized_weights_are_unpacked_to_bfloat16(
        self, home: Home, tiny_model: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "tiny-q8.gguf"
        gguf_maker.write(tiny_model, file, quantization=Quantization.Q8_0)
        convert_to(home, file, home.models / "tiny")
        (facts,) = models.listing(home)
        assert facts.dtype == "bfloat16"
        assert "Q8_0" in (home.models / "tiny" / "README.md").read_text("utf-8")
        assert (logits_of(home.models / "tiny") - logits_of(tiny_model)).abs().max() < 0.05

    def test_every_stage_is_said(self, home: Home, tiny_model: Path, tmp_path: Path) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
        context = context_of(home, source, home.models / "tiny")
        convert.run(context)
        said = [e.text for e in jobs.read_events(context.folder.path)[0] if hasattr(e, "text")]
        assert said[0] == "Checking the file"
        assert "Reading the weights" in said


class TestRefused:
    def refuse(self, home: Home, source: Path) -> StudioError:
        with pytest.raises(StudioError) as raised:
            convert.run(context_of(home, source, home.models / "tiny"))
        assert nothing_left(home)
        assert raised.value.fix.endswith(".")
        return raised.value

    def test_no_file(self, home: Home, tmp_path: Path) -> None:
        assert "no file" in self.refuse(home, tmp_path / "absent.gguf").text

    def test_something_else(self, home: Home, tiny_model: Path) -> None:
        said = self.refuse(home, tiny_model / "model.safetensors")
        assert said.title == "Not a GGUF file"

    @pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.999])
    def test_a_truncated_file(
        self, home: Home, tiny_model: Path, tmp_path: Path, share: float
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
        whole = source.read_bytes()
        source.write_bytes(whole[: max(8, int(len(whole) * share))])
        assert self.refuse(home, source).title == "GGUF is damaged"

    def test_an_unknown_architecture(self, home: Home, tiny_model: Path, tmp_path: Path) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "x.gguf", architecture="zorp")
        assert "zorp" in self.refuse(home, source).text

    def test_one_part_of_several(self, home: Home, tiny_model: Path, tmp_path: Path) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "x.gguf", parts=3)
        assert "llama-gguf-split" in self.refuse(home, source).fix

    def test_no_tokenizer(self, home: Home, tiny_model: Path, tmp_path: Path) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "x.gguf", tokenizer=False)
        assert "no tokenizer" in self.refuse(home, source).text

    @pytest.mark.usefixtures("warnings_expected")
    def test_a_missing_weight(self, home: Home, tiny_model: Path, tmp_path: Path) -> None:
        source = gguf_maker.write(
            tiny_model, tmp_path / "x.gguf", leave_out=("blk.1.attn_q.weight",)
        )
        assert "q_proj" in self.refuse(home, source).text

    def test_a_taken_folder_is_left_alone(
        self, home: Home, tiny_model: Path, tmp_path: Path
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "x.gguf")
        kept = home.models / "tiny" / "mine.txt"
        kept.parent.mkdir()
        kept.write_text("mine", "utf-8")
        with pytest.raises(StudioError, match="already exists"):
            convert.run(context_of(home, source, kept.parent))
        assert [path.name for path in home.models.rglob("*")] == ["tiny", "mine.txt"]

    def test_a_disk_without_room(
        self, home: Home, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "x.gguf")
        facts = gguf_file.read(source)
        full = type("Usage", (), {"free": facts.unpacked_bytes - 1})()
        monkeypatch.setattr("studio.engine.convert.shutil.disk_usage", lambda path: full)
        assert self.refuse(home, source).title == "Not enough room"

    def test_a_wrong_result_is_thrown_away(
        self, home: Home, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = gguf_maker.write(tiny_model, tmp_path / "x.gguf")
        honest = convert.load.load_model

        def off_by_a_little(*args: object, **options: object) -> object:
            model = honest(*args, **options)  # type: ignore[arg-type]
            with torch.no_grad():
                model.get_input_embeddings().weight[:, 0] += 1
            return model

        monkeypatch.setattr(convert.load, "load_model", off_by_a_little)
        assert "answers otherwise" in self.refuse(home, source).text


def test_giving_up_leaves_nothing(home: Home, tiny_model: Path, tmp_path: Path) -> None:
    source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
    context = context_of(home, source, home.models / "tiny")
    jobs.tell(context.folder.path, Cancel())
    convert.run(context)
    assert isinstance(jobs.read_events(context.folder.path)[0][-1], events.Cancelled)
    assert nothing_left(home)


def test_leftovers_of_a_killed_import_are_swept(
    home: Home, tiny_model: Path, tmp_path: Path
) -> None:
    (home.models / ".partial-deadbeef0123-tiny").mkdir()
    source = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
    convert_to(home, source, home.models / "tiny")
    assert [path.name for path in home.models.iterdir()] == ["tiny"]


def test_the_starter_model_says_what_it_should(starter_model: Path) -> None:
    tokenizer = load.load_tokenizer(starter_model)
    model = load.load_model(starter_model, device=torch.device("cpu"))
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
    ids = ids if isinstance(ids, torch.Tensor) else ids["input_ids"]
    with torch.inference_mode():
        answer = model.generate(input_ids=ids, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, ids.shape[1] :])
