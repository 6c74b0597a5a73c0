"""What was read in earlier turns isn't read again, and answers stay the same token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from studio.engine import prefix as prefixes
from studio.engine.conversation import BARE, Speaker
from studio.engine.generate import Sampler, stream
from studio.engine.load import load_model, load_tokenizer
from studio.engine.prefix import Broken, Prefix, Prefixes
from tests.support import adapters as made
from tests.support import random_models

SMALL = {"num_hidden_layers": 2, "vocab_size": 512}
FEW = 8


def model_of(kind: str, **changes: Any) -> Any:
    torch.manual_seed(1)
    small = {"n_layer": 2, "vocab_size": 512} if kind == "gpt2" else SMALL
    config = random_models.config_of(kind, **small | changes)
    return AutoModelForCausalLM.from_config(config).eval()


def greedy(model: Any, prompt: list[int], prefix: Prefix | None = None) -> list[int]:
    return list(stream(model, prompt, Sampler(0, 1, 0), frozenset(), FEW, prefix))


def tokens(seed: int, count: int) -> list[int]:
    made = torch.randint(3, 512, (count,), generator=torch.Generator().manual_seed(seed))
    return [int(token) for token in made]


@pytest.mark.parametrize(
    "kind", ["llama", "qwen3", "gpt2", "gpt_neox", "phi3", "qwen3_moe", "gemma3_text", "mistral"]
)
@pytest.mark.parametrize("piece", [512, 7], ids=["at once", "in pieces"])
def test_turns_and_edits_answer_as_if_everything_was_read_again(
    kind: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefixes, "PIECE", piece)
    windows = {"sliding_window": 24} if kind in ("gemma3_text", "mistral") else {}
    model, kept = model_of(kind, **windows), Prefixes()
    history = tokens(0, 12)
    saved = 0
    for turn in range(4):  # beyond the window
        prompt = history + tokens(turn + 1, 9)
        prefix = kept.take("a", model, prompt)
        saved += len(prefix.ids)
        told = greedy(model, prompt, prefix)
        kept.keep("a", prefix)
        assert told == greedy(model, prompt)
        history = prompt + told
    assert saved > 30
    for edited in (history[:20] + tokens(9, 5), history[:3] + tokens(8, 40), history[:15]):
        prefix = kept.take("a", model, edited)
        told = greedy(model, edited, prefix)
        kept.keep("a", prefix)
        assert told == greedy(model, edited)
    other = kept.take("b", model, history)
    assert not other.ids, "another voice read it in its own way"


def test_the_longest_prefix_of_a_voice_is_taken_and_the_oldest_go() -> None:
    model, kept = model_of("llama"), Prefixes()
    first, branch = tokens(1, 30), tokens(1, 10) + tokens(2, 20)
    for prompt in (first, branch):
        prefix = kept.take("a", model, prompt)
        greedy(model, prompt, prefix)
        kept.keep("a", prefix)
    assert len(kept.take("a", model, [*first, 5]).ids) == 10, "the branch was cut to what is common"
    for seed in range(prefixes.MOST):
        prefix = Prefix(model)
        greedy(model, tokens(seed + 5, 4), prefix)
        kept.keep("b", prefix)
    assert not kept.take("a", model, branch).ids
    kept.forget("b")
    assert not kept.take("b", model, tokens(5, 4)).ids
    assert not kept.give_back()


def test_a_prompt_known_to_its_end_reads_its_last_token_again() -> None:
    model = model_of("llama")
    prompt, prefix = tokens(1, 20), Prefix(model)
    prefix.read(model, prompt)
    assert prefix.common(prompt) == 19
    prefix.cut(19)
    assert greedy(model, prompt, prefix) == greedy(model, prompt)


def test_a_failure_forgets_what_was_read_by_halves() -> None:
    model, prefix = model_of("llama"), Prefix(model_of("llama"))
    prefix.read(model, tokens(1, 5))
    with pytest.raises(IndexError):
        prefix.read(model, [100_000])
    assert not prefix.ids
    assert greedy(model, tokens(1, 9), prefix) == greedy(model, tokens(1, 9))


def test_reading_a_long_prompt_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "PIECE", 10)
    model = model_of("llama")
    prefix, asked = Prefix(model), []

    def stopped() -> bool:
        asked.append(len(prefix.ids))
        return len(asked) == 3

    with pytest.raises(Broken):
        next(stream(model, tokens(1, 95), Sampler(0, 1, 0), frozenset(), 4, prefix, stopped))
    assert asked == [10, 20, 30]
    assert greedy(model, tokens(1, 95), prefix) == greedy(model, tokens(1, 95))


def test_adapters_come_and_go_and_nobody_takes_what_another_read(
    tiny_model: Path, tmp_path: Path
) -> None:
    sides = [BARE] + [
        str(made.make_adapter(tiny_model, tmp_path / name, seed=seed, **kind))
        for seed, (name, kind) in enumerate((("one", {}), ("two", {"use_dora": True})))
    ]
    loaded = load_model(tiny_model, torch.float32)
    speaker = Speaker(tiny_model, loaded, load_tokenizer(tiny_model))
    prompt = tokens(3, 30)
    prompt = [token % 400 for token in prompt]
    wanted = {}
    for side in sides:
        plain = made.with_peft(tiny_model, Path(side)) if side else made.load(tiny_model)
        wanted[side] = greedy(plain, prompt)
    assert len({tuple(answer) for answer in wanted.values()}) == 3
    for round in range(2):
        for side in sides:
            if side:
                speaker.load(side)
            prefix = speaker.prefixes.take(side, speaker.base, prompt)
            assert len(prefix.ids) == (len(prompt) - 1 if round else 0)
            with speaker.speaking(side):
                assert greedy(speaker.model, prompt, prefix) == wanted[side]
            speaker.prefixes.keep(side, prefix)
    speaker.hold([])
    assert not speaker.prefixes.take(sides[1], speaker.base, prompt).ids


def test_penalty_and_top_k_are_those_of_transformers() -> None:
    model = model_of("llama")
    prompt = tokens(4, 12)
    own = list(stream(model, prompt, Sampler(0, 1, 0, 0, 1.8), frozenset(), 20))
    ids = torch.tensor([prompt])
    told = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False,
        repetition_penalty=1.8, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    assert own == told[0, 12:].tolist()
    assert own != list(stream(model, prompt, Sampler(0, 1, 0), frozenset(), 20))
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    narrow = Sampler(1.0, 1.0, 0, top_k=3)
    assert {narrow(logits) for _ in range(300)} == {0, 1, 2}
    wide = torch.zeros(4000)  # a nucleus wider than what is looked at first
    assert len({Sampler(1.0, 0.9, seed)(wide) for seed in range(60)}) > 50
