"""The server's voices: what one of them has read isn't read again, and no other one uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.conversation import BARE, Speaker
from studio.engine.load import load_model, load_tokenizer
from studio.engine.prefix import Prefix
from studio.engine.voices import Voice
from tests.support import adapters as made

HISTORY, QUESTION = list(range(20, 60)), [7, 9, 11, 13]
ANSWER = 6


class Reading:
    """Two voices of one base, and how many tokens the base reads."""

    def __init__(self, model: Path, adapter: Path) -> None:
        base = load_model(model, torch.float32, device=torch.device("cpu"))
        self.tokens = 0
        base.register_forward_pre_hook(self._count, with_kwargs=True)
        speaker = Speaker(model, base, load_tokenizer(model))
        speaker.load(str(adapter))
        self.voices = [Voice(speaker, side, speaker.tokenizer) for side in (BARE, str(adapter))]

    def _count(self, module: Any, arguments: Any, options: dict[str, Any]) -> None:
        self.tokens += options["input_ids"].shape[1]

    def ask(self, voice: int, prompt: list[int], **options: Any) -> list[int]:
        """The greedy answer with its prompt."""
        ids = torch.tensor([prompt])
        settings = {"max_new_tokens": ANSWER, "min_new_tokens": ANSWER, "do_sample": False}
        found = self.voices[voice].generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), pad_token_id=0,
            **settings, **options,
        )  # fmt: skip
        whole: list[int] = found[0].tolist()
        return whole


class Leaver:
    """A streamer whose client is gone after some tokens."""

    def __init__(self, after: int) -> None:
        self._left = after

    def put(self, tokens: torch.Tensor) -> None:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("gone")

    def end(self) -> None:
        """Never comes."""


@pytest.fixture
def reading(tiny_model: Path, tmp_path: Path) -> Reading:
    return Reading(tiny_model, made.make_adapter(tiny_model, tmp_path / "adapter", 1))


def test_a_next_turn_reads_what_is_new_and_says_the_same(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [reading.ask(voice, HISTORY) for voice in (0, 1)]
    assert first[0] != first[1]
    prompts = [[*whole, *QUESTION] for whole in first]
    reading.tokens = 0
    second = [reading.ask(voice, prompt) for voice, prompt in enumerate(prompts)]
    # of each: the last token of the answer, which nobody read yet, the question, the new answer
    assert reading.tokens == 2 * (1 + len(QUESTION) + ANSWER - 1)
    branch = reading.ask(0, [*HISTORY[:30], *QUESTION])
    monkeypatch.setattr(Prefix, "common", lambda self, prompt: 0)
    assert second == [reading.ask(voice, prompt) for voice, prompt in enumerate(prompts)]
    assert branch == reading.ask(0, [*HISTORY[:30], *QUESTION])


def test_an_answer_that_was_broken_off_leaves_what_it_read(reading: Reading) -> None:
    with pytest.raises(RuntimeError, match="gone"):
        reading.ask(1, HISTORY, streamer=Leaver(3))
    reading.tokens = 0
    told = reading.ask(1, [*HISTORY, *QUESTION])
    assert reading.tokens == len(QUESTION) + ANSWER - 1
    assert told[: len(HISTORY)] == HISTORY
