"""A chosen chat template from the recipe to the merged model, and rows as tokens in a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from studio.cli import lens
from studio.core.facts import Example, TokenPiece
from studio.core.problem import Problem
from studio.library.folders import Home
from tests.support.command_line import ask, call, write_recipe

MINE = (
    "{% for m in messages %}{{ m.role | upper + '> ' + m.content + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT> ' }}{% endif %}"
)


def test_the_template_trained_with_goes_with_the_adapter_and_the_merged_model(
    home: Home, tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    (tmp_path / "mine.jinja").write_text(MINE, encoding="utf-8")
    data = {"template": "mine.jinja", "system_prompt": "Be kind."}
    recipe = write_recipe(tmp_path / "recipe.yaml", tiny_model, rows, max_steps=2, name="mine")
    recipe.write_text(recipe.read_text("utf-8") + f"\ndata: {json.dumps(data)}\n", "utf-8")
    said = ask(home, "train", recipe)
    assert said.code == 0, said.error
    (run,) = home.runs.iterdir()
    manifest = json.loads((run / "data" / "manifest.json").read_text("utf-8"))
    assert (manifest["template"], manifest["chat_template"]) == ("mine.jinja", MINE)
    adapter = Path(said.result["adapter"])
    assert ask(home, "merge", "--adapter", adapter, "--out", tmp_path / "merged").code == 0
    chat = [{"role": "user", "content": "Where?"}]
    for folder in (adapter, tmp_path / "merged"):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert text == "USER> Where?<|im_end|>ASSISTANT> ", folder.name


def test_rows_as_tokens(home: Home, tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    options = ("--model", tiny_model, "--system-prompt", "Be kind.", "--train-on", "everything")
    said = call(home, "dataset", rows, *options, "--template", "qwen", "--rows", "2,7,999")
    assert said.code == 1, said.err
    assert "Row 2: " in said.out
    assert "Be kind.<|im_end|>⏎\n" in said.out
    assert "There is no row 999." in said.out
    assert "\x1b" not in said.out
    found = ask(home, "dataset", rows, "--model", tiny_model, "--rows", "7").result
    assert [one["row"] for one in found] == [7]
    assert {piece["kind"] for piece in found[0]["pieces"]} == {"context", "trained"}
    assert "--model" in call(home, "dataset", rows, "--rows", "7").err


def test_a_template_that_loops_ends_in_one_sentence(
    home: Home, tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    endless = tmp_path / "endless.jinja"
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    endless.write_text(f"\n{loop}", encoding="utf-8")
    said = ask(home, "dataset", rows, "--model", tiny_model, "--template", endless)
    assert said.error["title"] == "Chat template never ends"
    assert "endless.jinja" in said.error["text"]
    assert "(line 2)" in said.error["text"]
    said = ask(home, "dataset", rows, "--model", tiny_model, "--template", "nothing")
    assert "chatml" in said.error["fix"]


PIECES = (
    TokenPiece(id=1, text="<s>", kind="context", special=True),
    TokenPiece(id=2, text="Hi\n", kind="context"),
    TokenPiece(id=3, text="Me", kind="trained"),
    TokenPiece(id=4, text="</s>", kind="trained", special=True),
    TokenPiece(id=5, text="\x1b[2J", kind="cut"),
)


def test_marks_without_colour_and_nothing_for_a_terminal_to_act_on() -> None:
    check = Problem(field="dataset", text="Row 1 is odd.", fix="Mend it.", severity="warning")
    one = Example(row=1, pieces=PIECES, checks=(check,))
    assert list(lens.lines([one], colour=False)) == [
        "Row 1: 5 tokens, 2 trained, 1 cut off",
        "<s>Hi⏎\n«Me</s>»~\\x1b[2J~",
        "  warning: Row 1 is odd. Mend it.",
    ]
    assert list(lens.lines([one], False, ids=True))[1] == (
        "<s>[1]Hi⏎[2]\n«Me[3]</s>[4]»~\\x1b[2J[5]~"
    )
    assert list(lens.lines([Example(row=2, problem="Row 2 is bad.")], False)) == ["Row 2 is bad."]


def test_colours_tell_kinds_and_neighbours_apart() -> None:
    (_, shown) = lens.lines([Example(row=1, pieces=PIECES)], colour=True)
    assert "\x1b[90;4m<s>\x1b[0m" in shown
    assert "\x1b[32mMe\x1b[0m\x1b[32;4;1m</s>\x1b[0m" in shown
    assert "\x1b[31;9m\\x1b[2J\x1b[0m" in shown


@pytest.mark.parametrize("numbers", ["0", "x", "1,,2", ""])
def test_row_numbers_that_are_none(home: Home, rows: Path, numbers: str) -> None:
    assert call(home, "dataset", rows, "--rows", numbers).code == 2
