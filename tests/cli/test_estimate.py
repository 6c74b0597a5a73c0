"""estimate: by processes, from recipes, folders and bare configs; all mistakes named at once."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from studio.core.memory import BREAKDOWN
from studio.library.folders import Home
from tests.support.command_line import ask, call, finish, start, until, write_recipe, write_rows

LLAMA_7B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}
GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}
SETTINGS = ["--method", "lora", "--rank", "8", "--seq-len", "1024", "--batch", "2"]


def write_config(folder: Path, config: dict[str, Any], name: str = "config.json") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(config), "utf-8")
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "llama", LLAMA_7B)


@pytest.fixture
def nowhere(tmp_path: Path) -> Home:
    """A home that can't be made: a bare config needs none."""
    (tmp_path / "file").write_text("", "utf-8")
    return Home(tmp_path / "file" / "home")


def test_an_estimate_names_its_parts(home: Home, recipe: Path) -> None:
    said = ask(home, "estimate", recipe)
    assert said.code == 0
    result = said.result
    parts = result["parts"]
    assert list(parts)[-3:] == ["allocated", "slack", "context"]
    assert set(parts) - {"allocated", "slack", "context"} <= set(BREAKDOWN)
    assert sum(parts.get(name, 0) for name in BREAKDOWN) == parts["allocated"]
    assert parts["allocated"] + parts["slack"] == result["expected_bytes"]
    assert result["expected_bytes"] <= result["upper_bytes"] <= result["needed_bytes"]
    assert max(result["phases"].values()) == parts["allocated"]
    assert result["verdict"] in ("fits", "tight", "too big")
    assert result["devices"]
    assert result["ratio"] == 1.0
    assert result["costs"]["steps"] > 0
    assert result["costs"]["total_seconds"] is None  # nobody measured it


def test_a_bare_config_needs_no_home_and_no_keeper(nowhere: Home, config: Path) -> None:
    before = time.perf_counter()
    said = ask(nowhere, "estimate", config, *SETTINGS, "--gpu-gb", "24", "--checkpointing", "yes")
    assert time.perf_counter() - before < 20
    assert said.code == 0, said.lines[-1]
    assert said.result["assumed"]["tokens_at_once"] == 2 * 1024
    assert said.result["parts"]["weights"] == pytest.approx(2 * 6_738_415_616, rel=0.01)
    assert said.result["devices"] == ["a card with 24 GB"]
    assert said.result["verdict"] in ("fits", "tight")


def test_a_config_is_the_same_by_any_way_of_naming_it(nowhere: Home, config: Path) -> None:
    other = write_config(config.parent.parent / "elsewhere", LLAMA_7B, "llama-7b.json")
    words: list[list[object]] = [
        [config],
        [config.parent],
        [other],
        ["--model", config],
        ["--model", config.parent],
        ["--model", other],
    ]
    found = [ask(nowhere, "estimate", *named, *SETTINGS).result for named in words]
    assert all(result == found[0] for result in found)
    assert found[0]["verdict"] == "unknown"
    assert found[0]["expected_bytes"] > 10 << 30


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["--dtype", "bf16"], ["--dtype", "bfloat16"]),
        (["--dtype", "fp32"], ["--dtype", "float32"]),
        (["--dtype", "torch.float16"], ["--dtype", "fp16"]),
        (["--dtype", "bf16-mixed", "--method", "full"], ["--method", "full"]),
        (
            ["--dtype", "bf16", "--method", "full"],
            ["--dtype", "bf16-mixed", "--base-precision", "16", "--method", "full"],
        ),
        (["--optimizer", "adamw_bnb_8bit"], ["--optimizer", "adamw-8bit"]),
        (["--optimizer", "paged_adamw_32bit"], ["--optimizer", "paged_adamw"]),
        (["--checkpointing", "true"], ["--checkpointing", "yes"]),
        (["--max-length", "300"], ["--seq-len", "300"]),
        (["--method", "QLoRA"], ["--method", "qlora"]),
        (["--attention", "flash_attention_2"], ["--attention", "flash"]),
        (["--targets", "q,k,v,o,gate,up,down"], ["--targets", "all-linear"]),
        (["--targets", "attn,mlp"], ["--targets", "all"]),
        (["--targets", "q_proj,v_proj"], ["--targets", "q, v"]),
    ],
)
def test_people_spell_it_differently(
    nowhere: Home, config: Path, one: list[str], other: list[str]
) -> None:
    mine, theirs = (ask(nowhere, "estimate", config, *words) for words in (one, other))
    assert mine.result == theirs.result


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (["--batch", "1"], ["--batch", "4"]),
        (["--seq-len", "512", "--batch", "2"], ["--seq-len", "2048", "--batch", "2"]),
        (["--rank", "8"], ["--rank", "128"]),
        (["--targets", "q,v"], ["--targets", "all-linear"]),
        (["--method", "qlora"], ["--method", "full"]),
        (["--checkpointing", "yes"], ["--checkpointing", "no"]),
        (["--dtype", "bf16"], ["--dtype", "fp32"]),
        (["--dtype", "bf16", "--method", "full"], ["--dtype", "bf16-mixed", "--method", "full"]),
        (["--method", "full", "--optimizer", "adamw_8bit"], ["--method", "full"]),
        (["--offload", "--checkpointing", "yes"], ["--no-offload", "--checkpointing", "yes"]),
        (
            ["--method", "full", "--batch", "1", "--optimizer-in-backward"],
            ["--method", "full", "--batch", "1"],
        ),
        (["--logits", "chunked", "--batch", "8"], ["--logits", "full", "--batch", "8"]),
        (
            ["--attention", "sdpa", "--seq-len", "4096", "--checkpointing", "yes"],
            ["--attention", "eager", "--seq-len", "4096", "--checkpointing", "yes"],
        ),
    ],
)
def test_every_setting_counts(
    nowhere: Home, config: Path, less: list[str], more: list[str]
) -> None:
    found = [
        ask(nowhere, "estimate", config, *words).result["expected_bytes"] for words in (less, more)
    ]
    assert found[0] < found[1]


def test_every_mistake_is_named_at_once(nowhere: Home, tmp_path: Path) -> None:
    broken = {"model_type": "llama", "num_attention_heads": 7, "vocab_size": "many"}
    config = write_config(tmp_path / "broken", broken | {"hidden_size": 100})
    wrong = {
        "--method": "lra",
        "--rank": "-3",
        "--seq-len": "0",
        "--batch": "many",
        "--checkpointing": "maybe",
        "--optimizer": "sgdx",
        "--dtype": "bf15",
        "--attention": "blurred",
        "--logits": "some",
        "--gpu-gb": "-8",
    }
    words = [word for pair in wrong.items() for word in pair]
    said = ask(nowhere, "estimate", config, *[f"{a}={b}" for a, b in wrong.items()])
    assert said.code == 2, words
    named = {problem["field"] for problem in said.error["problems"]}
    assert named == set(wrong) | {
        "num_hidden_layers",
        "intermediate_size",
        "num_attention_heads",
        "vocab_size",
    }
    assert all(problem["text"] and problem["fix"] for problem in said.error["problems"])
    people = call(nowhere, "estimate", config, "--rank=-3", "--dtype=bf15")
    assert people.code == 2
    assert "--rank" in people.err
    assert "--dtype" in people.err
    assert not people.out


def test_a_config_that_makes_no_sense_names_every_field(nowhere: Home, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c", {"architectures": ["LlamaForCausalLM"], "n_embd": -1})
    said = ask(nowhere, "estimate", config)
    assert said.code == 1
    named = [problem["field"] for problem in said.error["problems"]]
    assert named == [
        "model_type",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
        "intermediate_size",
        "n_embd",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{not json", "is no JSON: line 1"),
        ("", "is no JSON: line 1"),
        ("[1, 2]", "holds no config of a model"),
        ("{}", "says nothing of a model"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_json_file_that_is_no_config_is_said_to_be_none(
    nowhere: Home, tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, "utf-8")
    found = ask(nowhere, "estimate", path, "--gpu-gb", "24")
    assert found.code == 1
    assert said in found.error["text"]


def test_layers_that_are_not_there_are_named(nowhere: Home, config: Path) -> None:
    said = ask(nowhere, "estimate", config, "--targets", "q,w_proj,embed")
    assert said.code == 1
    texts = [problem["text"] for problem in said.error["problems"]]
    assert len(texts) == 2
    assert "w_proj" in texts[0]
    assert "Embeddings" in texts[1]
    assert "q_proj" in said.error["fix"]


def test_what_contradicts_itself_is_refused(nowhere: Home, config: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("", "utf-8")
    words = [config, "--model", config, "--gpu-gb", "8", "--card", "3060", "--measure"]
    said = ask(nowhere, "estimate", *words, "--out", there)
    assert said.code == 2
    named = [problem["field"] for problem in said.error["problems"]]
    assert sorted(named) == ["--card", "--measure", "--measure", "--model", "--out", "--out"]
    assert ask(nowhere, "estimate").code == 2


def test_an_unknown_architecture_is_never_guessed(nowhere: Home, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c", LLAMA_7B | {"model_type": "novelty"})
    said = ask(nowhere, "estimate", config, "--gpu-gb", "24")
    assert said.code == 0
    assert (said.result["verdict"], said.result["expected_bytes"]) == ("unknown", 0)
    assert "measure" in said.result["advice"][0].lower()


def test_gpt2_has_its_own_words(nowhere: Home, tmp_path: Path) -> None:
    config = write_config(tmp_path / "gpt2", GPT2)
    said = ask(nowhere, "estimate", config, "--targets", "q,o", "--batch", "1")
    assert said.code == 0, said.lines[-1]
    assert said.result["parts"]["adapter"] > 0


def test_a_known_card_is_planned_for(nowhere: Home, config: Path) -> None:
    said = ask(nowhere, "estimate", config, "--card", "3060 12", "--method", "qlora")
    assert "3060" in said.result["devices"][0]
    unknown = ask(nowhere, "estimate", config, "--card", "Voodoo 2")
    assert unknown.code == 2
    assert unknown.error["problems"][0]["field"] == "--card"


def test_what_makes_it_fit_is_told_and_written(home: Home, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "fitted.yaml"
    words = [config, *SETTINGS, "--gpu-gb", "12"]
    said = ask(home, "estimate", *words, "--fit", "--out", out)
    assert said.code == 0, said.lines[-1]
    assert said.result["verdict"] == "too big"
    fitted = said.result["fitted"]
    assert fitted["fits"]
    assert fitted["estimate"]["verdict"] == "fits"
    assert all(change["saves_bytes"] > 0 and change["text"] for change in fitted["changes"])
    written = yaml.safe_load(out.read_text("utf-8"))
    assert written == fitted["recipe"]
    again = ask(home, "estimate", out, "--gpu-gb", "12")
    assert again.result["verdict"] == "fits"
    people = call(home, "estimate", *words, "--fit")
    assert "What makes it fit:" in people.out
    assert "Then it fits" in people.out


def test_what_room_could_be_used_for_is_told_and_written(
    home: Home, config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "larger.yaml"
    words = [config, "--method", "qlora", "--checkpointing", "yes", "--gpu-gb", "48"]
    said = ask(home, "estimate", *words, "--use-room", "--out", out)
    fitted = said.result["fitted"]
    assert fitted["fits"]
    fields = [change["field"] for change in fitted["changes"]]
    assert fields[:2] == ["method", "training.gradient_checkpointing"]
    assert all(change["saves_bytes"] < 0 for change in fitted["changes"])
    assert yaml.safe_load(out.read_text("utf-8"))["method"] == "lora"
    people = call(home, "estimate", *words, "--use-room").out
    assert "What the room could be used for:" in people
    assert "more." in people
    both = ask(home, "estimate", *words, "--use-room", "--fit")
    assert both.error["problems"][0]["field"] == "--use-room"


def test_without_a_card_there_is_nothing_to_fit(nowhere: Home, config: Path) -> None:
    said = ask(nowhere, "estimate", config, "--fit")
    assert said.code == 1
    assert "--gpu-gb" in said.error["fix"]


def test_people_get_a_table_with_bars(nowhere: Home, config: Path) -> None:
    out = call(nowhere, "estimate", config, *SETTINGS, "--gpu-gb", "16").out
    assert out.startswith("Estimate for a card with 16 GB: LoRA of rank 8, 2 x 1024 tokens")
    assert "█" in out
    for word in ("weights", "expected", "at most", "needed", "free"):
        assert word in out


def test_a_model_folder_is_for_this_machine(home: Home, tiny_model: Path) -> None:
    said = ask(home, "estimate", "--model", tiny_model)
    assert said.result["verdict"] in ("fits", "tight")
    assert said.result["available_bytes"] > 0


def test_a_measurement_stands_beside_the_estimate_and_betters_the_next(
    home: Home, recipe: Path
) -> None:
    before = ask(home, "estimate", recipe).result
    said = ask(home, "estimate", recipe, "--measure")
    assert said.code == 0, said.lines[-1]
    first = said.result["measured"]
    assert first["peak_bytes"] > 0
    assert first["process_bytes"] > 100 << 20
    assert first["seconds"] > 0
    assert first["tokens"] > 0
    assert first["parts"]["weights"] == pytest.approx(before["parts"]["weights"], abs=256)
    assert first["expected_parts"] == before["parts"]
    assert first["expected_bytes"] == before["expected_bytes"]
    assert first["kept"]
    assert list(home.jobs.iterdir()) == []
    assert list(home.runs.iterdir()) == []
    after = ask(home, "estimate", recipe).result
    second = ask(home, "estimate", recipe, "--measure").result["measured"]
    truth = second["peak_bytes"]
    assert after["ratio"] == pytest.approx(first["ratio"])
    assert abs(after["expected_bytes"] - truth) < abs(before["expected_bytes"] - truth)
    people = call(home, "estimate", recipe, "--measure")
    assert "Corrected by what was measured on this machine" in people.out
    assert "at the peak" in people.out


def test_of_a_real_model_the_next_estimate_is_as_good_as_the_measuring(
    home: Home, tmp_path: Path, starter_model: Path
) -> None:
    """Two measurements of one run differ by what the allocator keeps, some per cent."""
    rows = write_rows(tmp_path / "rows.jsonl", 24)
    recipe = write_recipe(tmp_path / "r.yaml", starter_model, rows, batch_size=2)
    before = ask(home, "estimate", recipe).result
    first = ask(home, "estimate", recipe, "--measure").result["measured"]
    assert first["parts"]["weights"] == pytest.approx(before["parts"]["weights"], rel=1e-4)
    assert first["parts"]["adapter"] == before["parts"]["adapter"]
    assert first["parts"]["allocated"] == pytest.approx(before["parts"]["allocated"], rel=0.1)
    after = ask(home, "estimate", recipe).result
    truth = ask(home, "estimate", recipe, "--measure").result["measured"]["peak_bytes"]
    off, was_off = (abs(one["expected_bytes"] / truth - 1) for one in (after, before))
    print(f"off by {was_off:.1%}, after a measurement by {off:.1%}")
    assert off < max(0.05, was_off)
    assert after["costs"]["total_seconds"] > 0


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_ends_a_measurement_without_a_trace(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 400)
    recipe = write_recipe(tmp_path / "r.yaml", tiny_model, rows, batch_size=400)
    process = start(home, "estimate", recipe, "--measure")
    lines = until(process, "started")
    process.send_signal(signal.SIGINT)
    said = finish(process, lines)
    assert said.code in (130, 0), said.err  # it may have been done by then
    assert list(home.jobs.iterdir()) == []
    assert list(home.runs.iterdir()) == []
