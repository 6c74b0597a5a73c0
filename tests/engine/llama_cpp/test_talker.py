"""A GGUF file in a conversation, by real llama.cpp: alone, and beside the live model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from studio.core.commands import Cancel, Chat, Load, Say
from studio.core.errors import StudioError
from studio.core.events import Answered, Ready, Refused, TokenText
from studio.engine import chat, room
from studio.engine.conversation import Speaker
from studio.engine.llama_cpp import rendering
from studio.engine.llama_cpp.talker import OfGguf
from studio.engine.load import load_model, load_tokenizer
from studio.engine.talkers import OfSpeaker
from studio.library.folders import Home
from tests.engine import asking
from tests.engine.asking import answered
from tests.support import engines
from tests.support.engines import Held

QUESTION = ({"role": "user", "content": "Wie heißt die Hauptstadt von Frankreich? 🗼"},)
ask = partial(asking.ask, messages=QUESTION, max_new_tokens=24)
TALKS = (
    QUESTION,
    ({"role": "system", "content": "Be <|im_end|> brief."}, *QUESTION),
    (*QUESTION, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "And?"}),
)


@pytest.fixture
def held(home: Home, small: Path, small_gguf: Path) -> Iterator[Held]:
    """The live model, with the file made of it in a second column."""
    job = Chat(model=str(small), adapters=(str(small_gguf),), dtype="float32")
    with engines.holding(home, job) as conversation:
        yield conversation


def test_its_prompts_are_the_live_models_and_those_of_llama_cpp(
    small: Path, small_gguf: Path
) -> None:
    loaded = load_model(small, torch.float32, device=torch.device("cpu"))
    live = OfSpeaker(Speaker(small, loaded, load_tokenizer(small)), "")
    file = OfGguf(small_gguf)
    texts = [file.render(messages) for messages in TALKS]
    assert texts == rendering.render(small_gguf, TALKS)
    assert [file.prompt(m) for m in TALKS] == [live.prompt(m) for m in TALKS]
    assert file.context_length == live.context_length == 512
    file.close()


def test_beside_the_live_model_it_says_the_same_to_the_same_seed(
    held: Held, small_gguf: Path
) -> None:
    side = str(small_gguf)
    tries: tuple[dict[str, Any], ...] = (
        {}, {"temperature": 0.8, "seed": 7}, {"temperature": 1.0, "top_k": 5},
    )  # fmt: skip
    for settings in tries:
        live, file = ask(held, "", side, **settings)
        assert live.text == file.text
        assert (live.tokens, live.prompt_tokens) == (file.tokens, file.prompt_tokens)
        assert file.tokens_per_second > 0
    pieces = [e for e in held.seen if isinstance(e, TokenText) and e.side == 1]
    assert "".join(piece.text for piece in pieces).endswith(file.text)
    [other] = ask(held, side, temperature=0.8, seed=8)
    assert other.text != ask(held, side, temperature=0.8, seed=7)[0].text


def test_a_next_turn_reads_only_what_is_new(held: Held, small_gguf: Path) -> None:
    side = str(small_gguf)
    [first] = ask(held, side)
    later = (
        *QUESTION,
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "And its river?"},
    )
    [second] = ask(held, side, messages=later)
    assert second.reused_tokens >= first.prompt_tokens - 1
    assert ask(held, side)[0].text == first.text, "an earlier branch, asked again"
    held.tell(Load(adapters=()))
    held.until(lambda event: isinstance(event, Ready))
    [fresh] = ask(held, side, messages=later)
    assert fresh.reused_tokens == 0
    assert fresh.text == second.text


def test_it_stops_when_it_is_told_to(held: Held, small_gguf: Path) -> None:
    side = str(small_gguf)
    held.tell(Say(request="long", adapters=(side,), messages=QUESTION, max_new_tokens=256))
    held.until(lambda event: isinstance(event, TokenText))
    held.tell(Cancel(request="long"))
    [answer] = [e for e in held.until(answered) if isinstance(e, Answered)]
    assert answer.stopped
    assert answer.tokens < 256
    assert ask(held, side)[0].tokens > 0


def test_alone_it_is_the_model_and_takes_no_adapters(
    home: Home, small_gguf: Path, tmp_path: Path
) -> None:
    with engines.holding(home, Chat(model=str(small_gguf))) as held:
        [alone] = ask(held)
        assert alone.tokens > 0
        assert ask(held, "")[0].text == alone.text
        for side, title in (
            (str(tmp_path / "adapter"), "No adapters on a GGUF file"),
            (str(tmp_path / "gone.gguf"), "No such file"),
        ):
            held.tell(Say(request="r", adapters=(side,), messages=QUESTION))
            [refused] = [e for e in held.until(answered) if isinstance(e, Refused)]
            assert refused.title == title
        assert ask(held)[0].text == alone.text


def test_a_model_without_a_template_is_asked_in_chatml(small_gguf: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.gguf"
    made = OfGguf(_without(small_gguf, bare, "tokenizer.chat_template"))
    assert made.render(QUESTION).startswith("<|im_start|>user\nWie")
    assert made.render(QUESTION).endswith("<|im_end|>\n<|im_start|>assistant\n")
    made.close()


def test_a_file_that_does_not_fit_into_memory_is_refused(
    small_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "spare", lambda device: 1000)
    with pytest.raises(StudioError, match=r"takes 0\.1 GB, and 0\.0 GB are free"):
        OfGguf(small_gguf)


def test_files_that_are_no_models_are_named(home: Home, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    writer = gguf.GGUFWriter(adapter, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (tmp_path / "other.gguf").write_bytes(b"GGUFnothing")
    for name, title in (
        ("adapter.gguf", "An adapter, not a model"),
        ("other.gguf", "llama.cpp can't use the file"),
    ):
        with pytest.raises(StudioError) as caught:
            chat.run(engines.context_of(home, Chat(model=str(tmp_path / name))))
        assert caught.value.title == title


def _without(file: Path, out: Path, key: str) -> Path:
    """A copy whose key has another name of the same length, which nobody asks for."""
    content = file.read_bytes()
    assert content.count(key.encode()) == 1
    out.write_bytes(content.replace(key.encode(), key.replace("chat", "that").encode()))
    return out
