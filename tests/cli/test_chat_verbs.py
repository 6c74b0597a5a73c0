"""Conversations at the terminal: commands in between, kept ones gone on with, listed, exported."""

from __future__ import annotations

import json
from pathlib import Path

from studio.library import chats
from studio.library.folders import Home
from tests.support import gguf_files, gguf_maker
from tests.support.command_line import ask, call

FEW = ("--max-new-tokens", "4", "--temperature", "0")


def test_several_sides_answer_one_prompt(library: Home) -> None:
    said = ask(
        library, "chat", "--adapter", "first", "--bare", "--prompt", "Hello", *FEW, "--16bit"
    )
    assert said.code == 0, said.lines[-1]
    bare, tuned = said.result["answers"]
    assert (bare["adapter"], Path(tuned["adapter"]).name) == ("", "first")
    assert said.result["text"] == bare["text"]
    assert bare["prompt_tokens"] == tuned["prompt_tokens"] > 0
    [ready] = said.events("ready")
    assert all(size > 0 for size in ready["own_bytes"].values()), "folded, with its memory said"
    [started] = said.events("started")
    assert started["decided"]["bits"] == 16
    assert started["decided"]["why"]
    assert chats.listing(library) == []


def test_a_gguf_file_answers_alone_and_beside_an_adapter(
    library: Home, tiny_model: Path, tmp_path: Path
) -> None:
    gguf_files.parts_are_there()
    file = gguf_maker.write(tiny_model, tmp_path / "tiny.gguf")
    alone = ask(library, "chat", "--gguf", file, "--prompt", "Hello", *FEW)
    assert alone.code == 0, alone.lines[-1]
    assert alone.result["tokens"] == 4
    beside = ask(
        library, "chat", "--adapter", "first", "--gguf", tmp_path, "--prompt", "Hello", *FEW
    )
    tuned, told = beside.result["answers"]
    assert (Path(tuned["adapter"]).name, told["adapter"]) == ("first", str(file))
    assert told["text"] == alone.result["text"]
    assert told["prompt_tokens"] == tuned["prompt_tokens"]
    gone = ask(library, "chat", "--gguf", tmp_path / "gone.gguf", "--prompt", "Hello")
    assert (gone.code, gone.error["title"]) == (1, "No GGUF file")
    lines = ["One", f"/swap {file} bare", "Two", "/swap first", "/save It", "/quit"]
    said = call(library, "chat", "--gguf", str(file), *FEW, stdin="\n".join(lines))
    assert said.code == 0, said.err
    assert "Answering: tiny.gguf, tiny.gguf" in said.err
    assert "No adapters on a GGUF file" in said.err
    [kept] = [one for one in chats.listing(library) if one.title == "It"]
    again = ask(library, "chat", "--continue", kept.id, "--prompt", "Three", *FEW)
    assert again.code == 0, again.lines[-1]
    chats.delete(library, kept.id)


def test_commands_in_a_conversation_that_is_kept(library: Home, tmp_path: Path) -> None:
    lines = [
        "/help", "/save", "/system Be brief.", "/nonsense", "One", "/regenerate",
        "/set temperature 0.5",
        "/set wrong 1", "/save Talk of tests", "/swap nobody", "/swap first bare", "Two", "/quit",
        "never asked",
    ]  # fmt: skip
    said = call(library, "chat", "--adapter", "first", *FEW, stdin="\n".join(lines) + "\n")
    assert said.code == 0, said.err
    assert "/regenerate" in said.err
    assert said.err.count("There is no command /nonsense") == 1
    assert "sets nothing" in said.err
    assert "Nothing was said yet" in said.err
    assert "no adapter called nobody" in said.err
    assert "[Bare model]" in said.out
    [entry] = chats.listing(library)
    kept = chats.load(library, entry.id)
    assert kept.title == "Talk of tests"
    assert [turn.question for turn in kept.turns] == ["One", "One", "Two"]
    assert kept.turns[1].parent == kept.turns[0].parent, "answered again beside the first answer"
    assert len(kept.turns[2].answers) == 2
    assert {turn.system for turn in kept.turns} == {"Be brief."}
    assert kept.sampling["temperature"] == 0.5

    more = ask(library, "chat", "--continue", "Talk of tests", "--prompt", "Three", "--seed", "4")
    assert more.code == 0, more.lines[-1]
    assert more.result["chat"] == entry.id
    assert len(more.result["answers"]) == 2, "the same sides answer"
    again = chats.load(library, entry.id)
    assert [turn.question for turn in again.path()] == ["One", "Two", "Three"]
    assert again.turns[-1].sampling["temperature"] == 0.5
    assert more.result["answers"][0]["prompt_tokens"] > 20

    listed = ask(library, "chats").result
    assert [row["title"] for row in listed] == ["Talk of tests"]
    assert [row["id"] for row in ask(library, "chats", "search", "three").result] == [entry.id]
    assert ask(library, "chats", "search", "no such words").result == []
    assert "## You" in call(library, "chats", "show", entry.id[:18]).out
    out = tmp_path / "rows.jsonl"
    assert ask(library, "chats", "export", entry.id, "--out", out).result["path"] == str(out)
    rows = [json.loads(line)["messages"] for line in out.read_text("utf-8").splitlines()]
    assert rows[0][0] == {"role": "system", "content": "Be brief."}
    assert ask(library, "chats", "export", entry.id, "--out", out).error["title"]
    assert ask(library, "chats", "rename", entry.id, "Other").result["title"] == "Other"
    assert "Other" in call(library, "chats").out
    assert ask(library, "chats", "delete", "Other").code == 0
    assert ask(library, "chats").result == []
    assert "no conversation" in ask(library, "chats", "show", "Other").error["text"]


def test_a_base_in_4_bits_leaves_the_adapter_to_peft(library: Home) -> None:
    said = ask(library, "chat", "--adapter", "first", "--4bit", "--prompt", "Hello", *FEW)
    assert said.code == 0, said.lines[-1]
    [started] = said.events("started")
    assert started["decided"]["bits"] == 4
    assert list(said.events("ready")[0]["own_bytes"].values()) == [0], "PEFT adds it"
