"""What the library says of model folders: whole ones, broken ones and dangerous ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from studio.core.errors import StudioError
from studio.core.recipe import ModelPart
from studio.library import models, settings
from studio.library.folders import Home
from studio.library.models.tensors import Unreadable, read


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(tiny_model, tmp_path / "a model"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    folder = tmp_path / "hf"
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(folder))
    return folder / "hub"


def change(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes a key away."""
    content = json.loads(file.read_text("utf-8")) | changes
    kept = {key: value for key, value in content.items() if value is not None}
    file.write_text(json.dumps(kept), "utf-8")


def shard(folder: Path, parts: int = 3) -> list[Path]:
    """Cut model.safetensors into shards with an index, as transformers does."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    files = [f"model-{n + 1:05}-of-{parts:05}.safetensors" for n in range(parts)]
    for n, file in enumerate(files):
        save_file({name: weights[name] for name in names[n::parts]}, folder / file)
    index = {name: files[n % parts] for n, name in enumerate(names)}
    whole = {"metadata": {}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(whole), "utf-8")
    return [folder / file for file in files]


def only_problem(folder: Path) -> str:
    """The one thing that is wrong, as a person reads it; it always comes with a fix."""
    problems = models.inspect(folder).problems
    assert len(problems) == 1, problems
    assert problems[0].severity == "error"
    assert problems[0].fix.endswith(".")
    return f"{problems[0].text} {problems[0].fix}"


class TestFacts:
    def test_a_whole_folder_has_no_problems(self, model: Path) -> None:
        facts = models.inspect(model)
        weights = load_file(model / "model.safetensors")
        assert facts.problems == ()
        assert facts.parameters == sum(array.size for array in weights.values())
        assert facts.tensor_bytes == sum(array.nbytes for array in weights.values())
        assert (facts.architecture, facts.model_type) == ("LlamaForCausalLM", "llama")
        assert (facts.dtype, facts.context_length) == ("float32", 512)
        assert facts.has_chat_template
        assert models.usable(model)

    def test_weights_that_may_not_be_read_are_not_called_damaged(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(file: Path) -> None:  # who tests as root may read everything
            raise PermissionError(13, "Permission denied", str(file))

        monkeypatch.setattr("studio.library.models.weights.reader.read", refuse)
        assert "may not be read" in only_problem(model)

    def test_linear_modules_are_those_inside_the_layers(self, model: Path) -> None:
        assert set(models.inspect(model).linear_modules) == {
            *("q_proj", "k_proj", "v_proj", "o_proj"),
            *("gate_proj", "up_proj", "down_proj"),
        }

    def test_a_stored_tied_head_is_not_counted_twice(self, model: Path) -> None:
        weights = load_file(model / "model.safetensors")
        before = models.inspect(model).parameters
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].copy()
        save_file(weights, model / "model.safetensors")
        facts = models.inspect(model)
        assert facts.parameters == before
        assert "lm_head" not in facts.linear_modules
        change(model / "config.json", tie_word_embeddings=False)
        assert models.inspect(model).parameters == before + weights["lm_head.weight"].size

    def test_experts_and_routers_are_no_targets(self, model: Path) -> None:
        weights = load_file(model / "model.safetensors")
        weights["model.layers.0.mlp.experts.0.w1.weight"] = np.ones((4, 4), np.float32)
        weights["model.layers.0.mlp.gate.weight"] = np.ones((4, 4), np.float32)
        save_file(weights, model / "model.safetensors")
        assert not {"w1", "gate"} & set(models.inspect(model).linear_modules)

    @pytest.mark.parametrize(
        ("readme", "licence"),
        [
            ("---\nlicense: apache-2.0\nlanguage: [en]\n---\n# Model\n", "apache-2.0"),
            ("---\nlicense: [unclosed\n---\n", ""),
            ("# No front matter\n", ""),
        ],
    )
    def test_the_licence_is_the_readmes(self, model: Path, readme: str, licence: str) -> None:
        (model / "README.md").write_text(readme, "utf-8")
        assert models.inspect(model).licence == licence

    def test_a_chat_template_may_lie_in_the_tokenizers_settings(self, model: Path) -> None:
        (model / "chat_template.jinja").unlink()
        assert not models.inspect(model).has_chat_template
        assert models.inspect(model).problems == ()
        change(model / "tokenizer_config.json", chat_template="{{ messages }}")
        assert models.inspect(model).has_chat_template

    def test_sharding_changes_no_fact(self, model: Path) -> None:
        before = models.inspect(model)
        shard(model)
        assert models.inspect(model) == before


class TestDigest:
    def test_it_follows_the_weights_and_not_the_place(self, model: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(model, tmp_path / "elsewhere"))
        change(copy / "config.json", transformers_version="9.9", _name_or_path="x")
        assert models.inspect(copy).digest == models.inspect(model).digest

    def test_other_weights_of_the_same_shape_differ(self, model: Path) -> None:
        before = models.inspect(model).digest
        weights = load_file(model / "model.safetensors")
        save_file({name: array * 1.001 for name, array in weights.items()}, model / "new")
        (model / "new").replace(model / "model.safetensors")
        assert models.inspect(model).digest != before

    def test_another_config_differs(self, model: Path) -> None:
        before = models.inspect(model).digest
        change(model / "config.json", rope_theta=20000.0)
        assert models.inspect(model).digest != before


class TestProblems:
    def test_no_folder(self, tmp_path: Path) -> None:
        assert "no folder" in only_problem(tmp_path / "nothing")

    def test_a_name_that_no_system_takes(self) -> None:
        assert "can't be read" in only_problem(Path("/tmp") / ("x" * 5000))

    def test_no_config(self, model: Path) -> None:
        (model / "config.json").unlink()
        assert "no config.json" in only_problem(model)

    @pytest.mark.parametrize("content", ["", "{", "[1]", "\udcff"])
    def test_a_config_that_is_no_config(self, model: Path, content: str) -> None:
        (model / "config.json").write_bytes(content.encode(errors="surrogateescape"))
        assert "config.json can't be read" in only_problem(model)

    def test_no_weights(self, model: Path) -> None:
        (model / "model.safetensors").unlink()
        assert "holds no weights" in only_problem(model)

    @pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
    def test_pickled_weights_are_refused(self, model: Path, name: str) -> None:
        (model / "model.safetensors").rename(model / name)
        said = only_problem(model)
        assert "run code" in said
        assert "save_pretrained" in said

    def test_a_missing_shard_is_named(self, model: Path) -> None:
        gone = shard(model)[1]
        gone.unlink()
        said = only_problem(model)
        assert gone.name in said
        assert "1 of 3" in said

    def test_an_index_that_leads_outside_is_refused(self, model: Path) -> None:
        shard(model)
        index = model / "model.safetensors.index.json"
        change(index, weight_map={"x": "../../secret.safetensors"})
        assert "outside the folder" in only_problem(model)

    @pytest.mark.parametrize("kept", [0, 5, 100, -1])
    def test_truncated_weights(self, model: Path, kept: int) -> None:
        file = model / "model.safetensors"
        file.write_bytes(file.read_bytes()[:kept])
        assert "model.safetensors is damaged" in only_problem(model)

    def test_layers_without_weights(self, model: Path) -> None:
        change(model / "config.json", num_hidden_layers=5)
        assert "3 of the 5 layers" in only_problem(model)

    def test_remote_code_is_refused(self, model: Path) -> None:
        change(model / "config.json", auto_map={"AutoModelForCausalLM": "x.Y"})
        assert "its own code" in only_problem(model)

    def test_an_unknown_architecture_is_named(self, model: Path) -> None:
        change(model / "config.json", model_type="zorp", architectures=["ZorpForCausalLM"])
        assert "ZorpForCausalLM" in only_problem(model)

    def test_a_model_for_another_task_is_refused(self, model: Path) -> None:
        change(model / "config.json", architectures=["LlamaForSequenceClassification"])
        assert "not a language model" in only_problem(model)

    def test_quantized_weights_are_refused(self, model: Path) -> None:
        change(model / "config.json", quantization_config={"quant_method": "gptq"})
        assert "gptq" in only_problem(model)

    def test_no_tokenizer(self, model: Path) -> None:
        (model / "tokenizer.json").unlink()
        assert "no tokenizer" in only_problem(model)
        (model / "tokenizer.model").write_bytes(b"sentencepiece")
        assert "older form" in only_problem(model)

    def test_a_gguf_file_is_offered_for_import(self, tmp_path: Path) -> None:
        file = tmp_path / "model.gguf"
        file.write_bytes(b"GGUF")
        assert "Import it" in only_problem(file)
        assert "Import the GGUF" in only_problem(tmp_path)

    def test_an_adapter_is_no_model(self, tmp_path: Path) -> None:
        (tmp_path / "adapter_config.json").write_text("{}", "utf-8")
        assert "adapter" in only_problem(tmp_path)

    def test_several_problems_are_all_told(self, model: Path) -> None:
        (model / "tokenizer.json").unlink()
        (model / "model.safetensors").unlink()
        change(model / "config.json", model_type="zorp")
        assert len(models.inspect(model).problems) == 3


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            b"[1, 2]",
            b"{not json",
            b'{"x": {"dtype": "F32", "shape": [1]}}',
            b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}',
            b'{"x": {"dtype": "F32", "shape": ["a"], "data_offsets": [0, 4]}}',
            b'{"x": 7}',
        ],
    )
    def test_nonsense_is_unreadable(self, tmp_path: Path, header: bytes) -> None:
        file = tmp_path / "x.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
        with pytest.raises(Unreadable):
            read(file)

    def test_a_huge_header_is_not_read(self, tmp_path: Path) -> None:
        file = tmp_path / "x.safetensors"
        file.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
        with pytest.raises(Unreadable, match="begin"):
            read(file)


class TestShelf:
    def test_the_studios_models_then_the_caches(self, home: Home, model: Path, cache: Path) -> None:
        shutil.copytree(model, home.models / "mine")
        shutil.copytree(model, home.models / ".partial-12345678-mine")
        in_cache(cache, "org/cached", model)
        in_cache(cache, "org/bert", model, model_type="not-a-language-model")
        assert [facts.name for facts in models.listing(home)] == ["mine", "org/cached"]

    def test_models_of_one_more_folder(
        self, home: Home, model: Path, cache: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(model, tmp_path / "shelf" / "theirs")
        (tmp_path / "shelf" / "no model").mkdir()
        settings.save(home, settings.Settings(models_folder=str(tmp_path / "shelf")))
        assert [facts.name for facts in models.listing(home)] == ["theirs"]

    def test_a_broken_model_is_listed_with_its_problem(self, home: Home, cache: Path) -> None:
        (home.models / "broken").mkdir()
        (facts,) = models.listing(home)
        assert facts.name == "broken"
        assert facts.problems

    def test_an_empty_machine(self, home: Home, cache: Path) -> None:
        assert models.listing(home) == []

    def test_resolving(self, home: Home, model: Path, cache: Path) -> None:
        cached = in_cache(cache, "org/cached", model)
        own = home.models / "org--own"
        shutil.copytree(model, own)
        (own / "studio.json").write_text('{"repo": "org/own", "revision": "abc"}', "utf-8")
        assert models.resolve(home, ModelPart(path=str(model))) == model
        assert models.resolve(home, ModelPart(path="org/cached")) == cached
        assert models.resolve(home, ModelPart(path="org/cached", revision=COMMIT)) == cached
        assert models.resolve(home, ModelPart(path="org/own")) == own
        assert models.resolve(home, ModelPart(path="org/own", revision="abc")) == own
        assert models.resolve(home, ModelPart(path="org--own")) == own

    @pytest.mark.parametrize(
        ("path", "revision", "fix"),
        [
            ("starter", None, "models download starter"),
            ("org/absent", None, "models download org/absent"),
            ("org/absent", "v2", "--revision v2"),
            ("/no/such/folder", None, "Pick a folder"),
            ("", None, "Pick a folder"),
            ("x" * 5000, None, "Pick a folder"),
            ("~nobody-of-that-name/model", None, "Pick a folder"),
        ],
    )
    def test_what_is_not_there_says_what_to_do(
        self, home: Home, cache: Path, path: str, revision: str | None, fix: str
    ) -> None:
        with pytest.raises(StudioError) as raised:
            models.resolve(home, ModelPart(path=path, revision=revision))
        assert fix in raised.value.fix

    def test_a_gguf_file_is_to_be_imported(self, home: Home, tmp_path: Path) -> None:
        file = tmp_path / "m.gguf"
        file.write_bytes(b"GGUF")
        with pytest.raises(StudioError, match="models import"):
            models.resolve(home, ModelPart(path=str(file)))

    def test_the_starter_is_a_folder_of_the_home(self, home: Home, model: Path) -> None:
        shutil.copytree(model, models.starter_path(home))
        assert models.resolve(home, ModelPart(path=models.STARTER)) == models.starter_path(home)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def in_cache(cache: Path, repo: str, model: Path, **config: Any) -> Path:
    """Put a model into the Hugging Face cache as its library lays it out."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    shutil.copytree(model, snapshot)
    change(snapshot / "config.json", **config)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT, "utf-8")
    return snapshot
