"""Real chat templates, found out by trying, and written down for Ollama."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from studio.core import ollama, turns
from studio.core.turns import Messages, Turns
from studio.library import resources

BOS = "<s>"


def renderer(text: str) -> Callable[[Messages], str]:
    def render(messages: Messages) -> str:
        made = render_jinja_template(
            [list(messages)], chat_template=text, add_generation_prompt=True,
            bos_token=BOS, eos_token="</s>",
        )  # fmt: skip
        return str(made[0][0])

    return render


def studios(name: str) -> Callable[[Messages], str]:
    return renderer(resources.path("templates", f"{name}.jinja").read_text("utf-8"))


TALK = [
    {"role": "system", "content": "You are\na pirate."},
    {"role": "user", "content": "Hi {{ there }}"},
    {"role": "assistant", "content": "Arr."},
    {"role": "user", "content": "Bye"},
]


@pytest.mark.parametrize("name", ["chatml", "llama-3", "mistral", "gemma", "phi", "qwen"])
@pytest.mark.parametrize("begin", [0, 1], ids=["with system", "without"])
def test_a_form_found_by_trying_says_what_the_template_says(name: str, begin: int) -> None:
    render = studios(name)
    found = turns.find(render)
    assert found is not None
    assert found.render(TALK[begin:]) == render(TALK[begin:])


def test_a_default_system_prompt_gives_way_to_ones_own(starter_model: Path) -> None:
    render = renderer((starter_model / "chat_template.jinja").read_text("utf-8"))
    found = turns.find(render)
    assert found is not None
    assert "SmolLM" in found.start
    assert "SmolLM" not in found.before_system + (found.after_system or "")
    assert found.render(TALK[1:]) == render(TALK[1:])


@pytest.mark.parametrize(
    "text",
    [
        # an answer is left out of the history, as some thinking models do with their thoughts
        "{% for m in messages %}{% if loop.last or m.role != 'assistant' %}"
        "<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}",
        # every turn is numbered
        "{% for m in messages %}{{ loop.index }}. {{ m.content }}\n{% endfor %}",
        "{{ raise_exception('never') }}",
        "{{ messages[0].content | upper }}",
    ],
)
def test_what_is_not_the_same_for_each_turn_has_no_form(text: str) -> None:
    assert turns.find(renderer(text)) is None


def test_a_template_that_refuses_system_prompts_has_a_form_without() -> None:
    text = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    )
    found = turns.find(renderer(text))
    assert found == Turns(
        start="[user]", before_system="", after_system=None, answer="[assistant]",
        prompt="[assistant]", next="[user]",
    )  # fmt: skip


def test_the_modelfile() -> None:
    found = turns.find(studios("llama-3"))
    text = ollama.modelfile(
        "./model-Q4_K_M.gguf",
        turns=found,
        stops=["<|eot_id|>", "<|eot_id|>"],
        system='Say "yes".',
        settings={"temperature": 0.6, "do_sample": True, "repetition_penalty": 1.1},
        context=4096,
        licence="llama3.2",
        remark="one line",
    )
    lines = text.splitlines()
    assert lines[:2] == ["# one line", "FROM ./model-Q4_K_M.gguf"]
    assert text.count('PARAMETER stop "<|eot_id|>"') == 1
    assert 'SYSTEM """Say "yes"."""' in lines
    assert {"PARAMETER temperature 0.6", "PARAMETER repeat_penalty 1.1"} <= set(lines)
    assert "PARAMETER num_ctx 4096" in lines
    assert "do_sample" not in text
    assert '{{ if eq .Role "user" }}' in text


def test_what_llama_cpp_adds_by_itself_is_not_written_twice() -> None:
    found = turns.find(studios("mistral"))
    assert found is not None
    assert found.start.startswith(BOS)
    assert BOS not in (ollama.go_template(found, BOS) or "")
    assert BOS in (ollama.go_template(found) or "")


def test_an_unknown_form_is_said() -> None:
    text = ollama.modelfile("./m.gguf", turns=None)
    assert "TEMPLATE" not in [line.split()[0] for line in text.splitlines() if line]
    assert "doesn't run Jinja" in text
