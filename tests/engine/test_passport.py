"""Exports that are intentionally wrong fail their passport, each for its own reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core import passport as core
from studio.core.passport import Passport
from studio.engine import passport, streaming_merge
from studio.engine.data import Row
from studio.engine.merged_files import write as write_beside
from studio.engine.passport import Judged, Live
from studio.engine.runtimes.of_transformers import OfTransformers
from tests.support import adapters as made
from tests.support import tiny_model as tiny

BOS_TEMPLATE = "{{ bos_token }}" + tiny.TEMPLATE.replace("<|im_start|>", "<|endoftext|>")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from more, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose prompts begin with a token of their own."""
    folder = tiny.build(tmp_path_factory.mktemp("of bos") / "model")
    (folder / "chat_template.jinja").write_text(BOS_TEMPLATE, "utf-8")
    return folder


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.make_adapter(model, tmp_path_factory.mktemp("adapters") / "adapter")


@pytest.fixture(scope="module")
def honest(model: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return merge(model, adapter, tmp_path_factory.mktemp("merged") / "merged")


def merge(model: Path, adapter: Path | None, out: Path) -> Path:
    out.mkdir()
    todo = streaming_merge.plan(model, adapter)
    streaming_merge.write(todo, out)
    write_beside(model, adapter, out, name=out.name, dtype=None, said=todo.settings)
    return out


def judge(
    model: Path, adapter: Path, export: Path, held_out: tuple[Row, ...] = (),
    precision: str = "float32",
) -> Judged:  # fmt: skip
    return passport.check(
        Live(model, adapter, torch.float32),
        lambda: OfTransformers.of_folder(export, torch.float32),
        precision,
        held_out,
        lambda text, share: None,
    )


def held_out(count: int = 4, seed: int = 0) -> tuple[Row, ...]:
    """Rows of which the second half is learnt."""
    rows = np.random.default_rng(seed).integers(5, 200, (count, 40))
    labels = np.where(np.arange(40) < 20, -100, rows)
    return tuple(Row(ids, wanted) for ids, wanted in zip(rows, labels, strict=True))


def names(found: Passport) -> list[str]:
    assert found.grade == ("fail" if found.failing else "pass")
    return [reason.name for reason in core.reasons(found)]


def edited(folder: Path, name: str, **changes: object) -> None:
    """A JSON file with other values; None takes a key out."""
    path = folder / name
    content = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}), "utf-8")


def test_an_honest_export_passes(model: Path, adapter: Path, honest: Path) -> None:
    judged = judge(model, adapter, honest, held_out())
    found = judged.passport
    assert names(found) == []
    assert found.positions >= core.POSITIONS
    assert found.top1 > 0.999
    assert found.greedy == 1.0
    assert found.kl < 1e-6 < 1e-2 < (found.kl_without_adapter or 0)
    assert found.loss_positions == 80
    assert found.loss == pytest.approx(found.loss_trained, abs=1e-5)
    assert found.loss_bare != found.loss_trained
    assert {check.name for check in found.checks} == {
        "prompt", "tokens", "bos", "stops", "agreement", "kl", "greedy", "strength", "loss"
    }  # fmt: skip


def test_the_losses_are_those_of_plain_transformers(
    model: Path, adapter: Path, honest: Path
) -> None:
    found = judge(model, adapter, honest, held_out()).passport
    live = made.with_peft(model, adapter)
    losses = [
        live(
            input_ids=torch.tensor(row.input_ids[None]), labels=torch.tensor(row.labels[None])
        ).loss.item()
        for row in held_out()
    ]
    assert found.loss_live == pytest.approx(np.mean(losses), abs=1e-4)
    with live.disable_adapter():
        ids = torch.tensor(held_out()[0].input_ids[None])
        bare = live(input_ids=ids, labels=torch.tensor(held_out()[0].labels[None])).loss.item()
    one = judge(model, adapter, honest, held_out()[:1]).passport
    assert one.loss_bare == pytest.approx(bare, abs=1e-4)


def test_a_swapped_template(model: Path, adapter: Path, honest: Path, tmp_path: Path) -> None:
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    other = BOS_TEMPLATE.replace("message['role']", "message['role'].upper()")
    (export / "chat_template.jinja").write_text(other, "utf-8")
    judged = judge(model, adapter, export)
    assert names(judged.passport) == ["Prompt"]
    first, second = judged.examples[:2]
    assert first.note == "prompt"
    assert first.exported == first.prompt.replace("user", "USER")
    assert second.note == ""


def test_a_template_that_refuses(model: Path, adapter: Path, honest: Path, tmp_path: Path) -> None:
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    refuses = "{{ raise_exception('no') }}"
    (export / "chat_template.jinja").write_text(refuses, "utf-8")
    assert "Prompt" in names(judge(model, adapter, export).passport)


def test_a_dropped_end(model: Path, adapter: Path, honest: Path, tmp_path: Path) -> None:
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    for name in ("generation_config.json", "config.json"):
        edited(export, name, eos_token_id=None)
    assert names(judge(model, adapter, export).passport) == ["Stop"]


def test_a_lost_beginning(model: Path, adapter: Path, honest: Path, tmp_path: Path) -> None:
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    edited(export, "tokenizer_config.json", bos_token=None)
    assert names(judge(model, adapter, export).passport) == ["Beginning of text"]


def test_a_doubled_beginning(model: Path, adapter: Path, honest: Path, tmp_path: Path) -> None:
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    (export / "chat_template.jinja").write_text("{{ bos_token }}" + BOS_TEMPLATE, "utf-8")
    assert "Beginning of text" in names(judge(model, adapter, export).passport)


def test_a_swapped_tokenizer(
    model: Path, adapter: Path, honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    monkeypatch.setattr(tiny, "TEXT", "Ganz andere Wörter geben ganz andere Stücke. " * 20)
    other = tiny.build(tmp_path / "other")
    shutil.copyfile(other / "tokenizer.json", export / "tokenizer.json")
    assert names(judge(model, adapter, export, held_out()).passport) == ["Tokens"]


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_alpha(model: Path, adapter: Path, tmp_path: Path, factor: float) -> None:
    wrong = Path(shutil.copytree(adapter, tmp_path / "wrong"))
    alpha = json.loads((wrong / "adapter_config.json").read_text("utf-8"))["lora_alpha"]
    edited(wrong, "adapter_config.json", lora_alpha=alpha * factor)
    found = judge(model, adapter, merge(model, wrong, tmp_path / "export"), held_out()).passport
    assert names(found)[0] == "Strength"
    assert found.strength == factor


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_a_wrong_alpha_where_few_bits_allow_much(
    model: Path, tmp_path: Path, factor: float
) -> None:
    """An adapter that changes little: what it lost is far below what 4 bits are allowed."""
    quiet = made.make_adapter(model, tmp_path / "quiet", lora_alpha=0.2)
    wrong = Path(shutil.copytree(quiet, tmp_path / "wrong"))
    edited(wrong, "adapter_config.json", lora_alpha=0.2 * factor)
    export = merge(model, wrong, tmp_path / "export")
    found = judge(model, quiet, export, held_out(), "4-bit").passport
    assert names(found) == ["Strength" if factor else "Training lost"]
    assert found.failing[0].name == "strength"
    assert found.strength == factor


def test_turned_heads(model: Path, adapter: Path, honest: Path, tmp_path: Path) -> None:
    """Query and key rows in the order that llama.cpp's rotation wants, where transformers reads."""
    export = Path(shutil.copytree(honest, tmp_path / "export"))
    tensors = load_file(export / "model.safetensors")
    for name, heads in (("q_proj", tiny.HEADS), ("k_proj", tiny.KEY_HEADS)):
        for key in [key for key in tensors if name in key]:
            weight = tensors[key]
            turned = weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2)
            tensors[key] = turned.reshape(weight.shape).contiguous()
    save_file(tensors, export / "model.safetensors", metadata={"format": "pt"})
    assert names(judge(model, adapter, export).passport) == ["Positions"]


def test_another_runs_adapter(model: Path, adapter: Path, tmp_path: Path) -> None:
    other = made.make_adapter(model, tmp_path / "other", seed=5)
    export = merge(model, other, tmp_path / "export")
    assert names(judge(model, adapter, export).passport) == ["Weights"]


def test_a_lost_adapter(model: Path, adapter: Path, tmp_path: Path) -> None:
    export = merge(model, None, tmp_path / "export")
    found = judge(model, adapter, export).passport
    assert names(found) == ["Training lost"]
    assert found.kl == pytest.approx(found.kl_without_adapter, rel=1e-3)


def test_the_worst_examples_show_where_it_differs(
    model: Path, adapter: Path, tmp_path: Path
) -> None:
    other = made.make_adapter(model, tmp_path / "other", seed=5)
    judged = judge(model, adapter, merge(model, other, tmp_path / "export"))
    first = judged.examples[0]
    assert first.prompt
    assert any(token.instead for token in first.live)
    assert [each.kl for each in judged.examples] == sorted(
        (each.kl for each in judged.examples), reverse=True
    )
    assert all(not isinstance(value, str) or len(value) < 15 for value in flat(judged.passport))


def flat(found: Passport) -> list[object]:
    """Every value of a passport, its checks' too: numbers and a few names, never a text."""
    plain = [getattr(found, name) for name in found.__struct_fields__ if name != "checks"]
    return plain + [
        getattr(check, name) for check in found.checks for name in check.__struct_fields__
    ]


def test_it_can_be_broken_off(model: Path, adapter: Path, honest: Path) -> None:
    class Enough(Exception):
        pass

    def progress(text: str, share: float) -> None:
        if share > 0.25:
            raise Enough

    with pytest.raises(Enough):
        passport.check(
            Live(model, adapter, torch.float32),
            lambda: OfTransformers.of_folder(honest, torch.float32),
            "float32", (), progress,
        )  # fmt: skip


def test_a_quick_check_asks_less(model: Path, adapter: Path, honest: Path) -> None:
    stages: list[float] = []
    keep: Callable[[str, float], None] = lambda text, share: stages.append(share)  # noqa: E731
    found = passport.check(
        Live(model, adapter, torch.float32),
        lambda: OfTransformers.of_folder(honest, torch.float32),
        "float32", (), keep, quick=True,
    ).passport  # fmt: skip
    assert core.QUICK_POSITIONS <= found.positions < core.POSITIONS
    assert stages == sorted(stages)


def test_a_template_without_system_prompts_is_asked_the_rest(
    tiny_model: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    (base / "chat_template.jinja").write_text(strict + tiny.TEMPLATE, "utf-8")
    adapter = made.make_adapter(base, tmp_path / "adapter")
    found = judge(base, adapter, merge(base, adapter, tmp_path / "export")).passport
    assert names(found) == []
    assert found.prompts == 14


def test_a_merged_model_ends_answers_as_its_template_does(tiny_model: Path, tmp_path: Path) -> None:
    """A base whose settings name another end than the template's would run on."""
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    for name in ("generation_config.json", "config.json"):
        edited(base, name, eos_token_id=0)
    adapter = made.make_adapter(base, tmp_path / "adapter")
    export = merge(base, adapter, tmp_path / "export")
    settings = json.loads((export / "generation_config.json").read_text("utf-8"))
    assert settings["eos_token_id"] == [0, 2]
    assert names(judge(base, adapter, export).passport) == []
