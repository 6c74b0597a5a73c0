"""Conversations on a real model: streaming, sides, swapping, stopping, and requests gone wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from studio.core.commands import Cancel, Chat, Leave, Load, Say
from studio.core.errors import StudioError
from studio.core.events import Answered, Note, Ready, Refused, TokenText
from studio.engine import chat, room
from studio.engine.prefix import Prefix
from studio.library import jobs
from studio.library.folders import Home
from tests.engine import asking
from tests.engine.asking import answered
from tests.support import adapters as made
from tests.support import engines
from tests.support import tiny_model as tiny
from tests.support.engines import Held

QUESTION = made.QUESTION
ask = partial(asking.ask, messages=QUESTION, max_new_tokens=16)


@pytest.fixture(scope="module")
def pair(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("adapters")
    first = made.make_adapter(tiny_model, folder / "first", seed=1)
    return str(first), str(made.make_adapter(tiny_model, folder / "second", seed=2, r=8))


@pytest.fixture
def held(home: Home, tiny_model: Path, pair: tuple[str, str]) -> Iterator[Held]:
    job = Chat(model=str(tiny_model), adapters=pair[:1], dtype="float32")
    with engines.holding(home, job) as conversation:
        yield conversation


def fresh_answer(tiny_model: Path, adapter: str) -> str:
    """What plain transformers and peft answer greedily."""
    model = made.with_peft(tiny_model, Path(adapter)) if adapter else made.load(tiny_model)
    tokenizer = chat.load_tokenizer(tiny_model)
    prompt = tokenizer.apply_chat_template(
        list(QUESTION), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**prompt, max_new_tokens=16, do_sample=False, pad_token_id=2)
    text = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    return text.rstrip("\N{REPLACEMENT CHARACTER}")  # a character that the limit cut off


def test_streamed_text_is_the_answer(held: Held) -> None:
    [answer] = ask(held, request="one", max_new_tokens=40)
    pieces = [event for event in held.seen if isinstance(event, TokenText)]
    assert "".join(piece.text for piece in pieces) == answer.text
    assert {piece.request for piece in pieces} == {"one"}
    assert 0 < answer.tokens <= 40
    assert answer.tokens_per_second > 0
    assert not answer.stopped


def test_sides_answer_as_a_fresh_load_of_each(
    held: Held, tiny_model: Path, pair: tuple[str, str]
) -> None:
    told = ask(held, "", *pair)
    assert [answer.text for answer in told] == [
        fresh_answer(tiny_model, side) for side in ("", *pair)
    ]
    assert len({answer.text for answer in told}) == 3


def test_an_adapter_is_asked_by_the_template_it_was_trained_with(
    held: Held, tiny_model: Path, tmp_path: Path
) -> None:
    own = made.make_adapter(tiny_model, tmp_path / "own", seed=1)
    template = "{% for m in messages %}{{ m.role }}> {{ m.content }}\n{% endfor %}assistant>"
    (own / "chat_template.jinja").write_text(template, encoding="utf-8")
    bare, told = ask(held, "", str(own))
    assert bare.text == fresh_answer(tiny_model, "")
    tokenizer = chat.load_tokenizer(tiny_model, template)
    prompt = tokenizer.apply_chat_template(
        list(QUESTION), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    model = made.with_peft(tiny_model, own)
    out = model.generate(**prompt, max_new_tokens=16, do_sample=False, pad_token_id=2)
    text = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert told.text == text.rstrip("\N{REPLACEMENT CHARACTER}")
    assert told.text != fresh_answer(tiny_model, str(own))


def test_swapping_keeps_the_base_and_changes_the_voice(
    held: Held, tiny_model: Path, pair: tuple[str, str]
) -> None:
    first, second = pair
    assert ask(held)[0].text == fresh_answer(tiny_model, first)
    held.tell(Load(adapters=(second,)))
    [ready] = [e for e in held.until(lambda e: isinstance(e, Ready)) if isinstance(e, Ready)]
    assert ready.adapters == (second,)
    assert ask(held)[0].text == fresh_answer(tiny_model, second)
    held.tell(Load(adapters=()))
    held.until(lambda event: isinstance(event, Ready))
    assert ask(held)[0].text == fresh_answer(tiny_model, "")
    assert ask(held, first)[0].text == fresh_answer(tiny_model, first)


def conversation(held: Held, side: str, turns: int, **settings: object) -> list[Answered]:
    """Questions one after the other, each behind what was said before."""
    messages, told = list(QUESTION), []
    for number in range(turns):
        [answer] = ask(held, side, messages=tuple(messages), **settings)
        told.append(answer)
        messages += [
            {"role": "assistant", "content": answer.text},
            {"role": "user", "content": f"And what about number {number}?"},
        ]
    return told


def test_later_turns_read_only_what_is_new_and_say_the_same(
    held: Held, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = ("", *pair)
    first = {side: conversation(held, side, 3) for side in sides}
    for told in first.values():
        assert told[0].reused_tokens == 0
        assert all(answer.reused_tokens > 0 for answer in told[1:])
        assert told[2].prompt_tokens > told[1].prompt_tokens > told[0].prompt_tokens
        assert told[2].context_length == 512
    again = {side: conversation(held, side, 3) for side in reversed(sides)}
    monkeypatch.setattr(Prefix, "common", lambda self, prompt: 0)
    whole = {side: conversation(held, side, 3) for side in sides}
    assert not any(answer.reused_tokens for told in whole.values() for answer in told)
    for side in sides:
        for told in (again[side], whole[side]):
            assert [answer.text for answer in told] == [answer.text for answer in first[side]]


def test_what_was_read_is_given_up_when_memory_is_short(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert conversation(held, "", 2)[1].reused_tokens > 0
    monkeypatch.setattr(room, "spare", lambda device: 0)
    assert conversation(held, "", 2)[1].reused_tokens == 0


def test_the_same_seed_says_the_same(held: Held) -> None:
    def text(seed: int) -> str:
        return ask(held, "", temperature=1.0, seed=seed)[0].text

    assert text(3) == text(3)
    assert text(3) != text(4)


def test_cancel_stops_within_a_few_tokens(held: Held) -> None:
    held.tell(Say(request="long", messages=QUESTION, max_new_tokens=400, temperature=1.0))
    held.until(lambda event: isinstance(event, TokenText))
    held.tell(Cancel(request="another"), Cancel(request="long"))
    [answer] = [e for e in held.until(answered) if isinstance(e, Answered)]
    assert answer.stopped
    assert 0 < answer.tokens < 200
    [after] = ask(held, request="next")
    assert not after.stopped


def test_cancelling_what_waits_answers_it_with_nothing(held: Held) -> None:
    held.tell(
        Say(request="first", messages=QUESTION, max_new_tokens=100, temperature=1.0),
        Say(request="second", messages=QUESTION, max_new_tokens=100, temperature=1.0),
        Cancel(request="second"),
    )
    events = [e for e in held.until(answered, 2) if isinstance(e, Answered)]
    assert [(e.request, e.stopped) for e in events] == [("first", False), ("second", True)]
    assert events[1].text == ""


def test_a_bad_request_is_refused_and_the_conversation_goes_on(held: Held, tmp_path: Path) -> None:
    wide = tiny.build(tmp_path / "wide", seed=3)
    other = made.make_adapter(wide, tmp_path / "other", target_modules=["q_proj"])
    config = other / "adapter_config.json"
    config.write_text(config.read_text("utf-8").replace('"r": 4', '"r": 3'), "utf-8")
    held.tell(
        Say(request="bad", messages=QUESTION, adapters=(str(tmp_path / "nowhere"),)),
        Say(request="none", messages=()),
        Load(adapters=(str(tmp_path),)),
    )
    refused = [e for e in held.until(answered, 3) if isinstance(e, Refused)]
    assert [e.request for e in refused] == ["bad", "none", ""]
    assert all(e.text and e.fix for e in refused)
    assert ask(held)[0].text


def test_the_oldest_turns_go_when_the_context_is_full(held: Held) -> None:
    turns = [
        {"role": role, "content": f"{role} number {number} " + "word " * 20}
        for number in range(12)
        for role in ("user", "assistant")
    ]
    messages = ({"role": "system", "content": "Be brief."}, *turns, *QUESTION)
    [answer] = ask(held, "", messages=messages, max_new_tokens=8)
    assert answer.text
    [note] = [event for event in held.seen if isinstance(event, Note)]
    assert "oldest" in note.text


def test_one_message_too_long_is_refused(held: Held) -> None:
    held.tell(Say(request="long", messages=({"role": "user", "content": "word " * 2000},)))
    [refused] = [e for e in held.until(answered) if isinstance(e, Refused)]
    assert refused.title == "Message too long"


def test_a_model_without_template_still_talks(home: Home, tmp_path: Path) -> None:
    base = tiny.build(tmp_path / "bare")
    (base / "chat_template.jinja").unlink()
    with engines.holding(home, Chat(model=str(base), dtype="float32")) as conversation:
        assert ask(conversation)[0].tokens > 0


@pytest.mark.parametrize("dtype", ["float12", "bits"])
def test_an_unknown_number_format_is_named(home: Home, tiny_model: Path, dtype: str) -> None:
    with pytest.raises(StudioError, match="number format"):
        chat.run(engines.context_of(home, Chat(model=str(tiny_model), dtype=dtype)))


def test_an_adapter_for_another_base_ends_the_start(
    home: Home, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny, "HIDDEN", 32)
    other = made.make_adapter(tiny.build(tmp_path / "narrow"), tmp_path / "adapter")
    job = Chat(model=str(tiny_model), adapters=(str(other),), dtype="float32")
    with pytest.raises(StudioError, match="made for another base"):
        chat.run(engines.context_of(home, job))


@pytest.mark.parametrize("way", ["leave", "end of file"])
def test_the_process_leaves_when_its_client_does(home: Home, tiny_model: Path, way: str) -> None:
    folder = jobs.create(home, Chat(model=str(tiny_model), dtype="float32"))
    line = [sys.executable, "-m", "studio", "engine"]
    line += ["--home", str(home.root), "--folder", str(folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as process:
        held = Held(folder)
        held.until(lambda event: isinstance(event, Ready))
        if way == "leave":
            held.tell(Leave())
        else:
            process.stdin.close()
        assert process.wait(20) == 0
