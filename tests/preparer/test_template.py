"""Templates render as in transformers, tokens are transformers' tokens, and nothing escapes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from studio.core.recipe import DataPart
from studio.library import chat_templates
from studio.preparer.messages import BadRow, Sample
from studio.preparer.template import Broken, Template
from studio.preparer.tokens import Encoder, Tokens

USER = {"role": "user", "content": "  Where is <b>“it”</b>?\n"}
ANSWER = {"role": "assistant", "content": "Here & there, naïve 🙂. "}
SYSTEM = {"role": "system", "content": "Be brief."}
CHATS: list[list[dict[str, Any]]] = [
    [USER, ANSWER],
    [USER, ANSWER, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "No."}],
]
FAMILIES = ["llama", "mistral", "gemma", "qwen", "generation", "everything"]


def of(folder: Path) -> Template:
    """The template that a model's folder brings."""
    return Template(chat_templates.of_model(folder).text, chat_templates.special_tokens(folder))


def same_as_transformers(folder: Path, chat: list[dict[str, Any]]) -> None:
    theirs = AutoTokenizer.from_pretrained(folder)
    template = of(folder)
    for prompt in (False, True):
        text = theirs.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)
        assert template.render(chat, generation_prompt=prompt) == text
    ids = theirs.apply_chat_template(chat, return_dict=False)
    tokens = Encoder(folder).tokenizer.encode(template.render(chat), add_special_tokens=False)
    assert tokens.ids == ids


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("chat", CHATS, ids=["one", "two"])
def test_families(family: Callable[[str], Path], name: str, chat: list[dict[str, Any]]) -> None:
    same_as_transformers(family(name), chat)


@pytest.mark.parametrize("chat", [*CHATS, [SYSTEM, *CHATS[1]]], ids=["one", "two", "system"])
def test_the_starter_model(starter_model: Path, chat: list[dict[str, Any]]) -> None:
    same_as_transformers(starter_model, chat)


def test_assistant_tokens_are_those_that_transformers_marks(family: Callable[[str], Path]) -> None:
    theirs = AutoTokenizer.from_pretrained(family("generation"))
    marked = theirs.apply_chat_template(
        CHATS[1], return_dict=True, return_assistant_tokens_mask=True
    )
    ours = Encoder(family("generation")).encode([Sample(messages=tuple(CHATS[1]))], DataPart())[0]
    assert isinstance(ours, Tokens)
    assert ours.ids == marked["input_ids"]
    assert ours.trained == [bool(mask) for mask in marked["assistant_masks"]]


def test_reasoning_reaches_the_template_under_every_name(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "thinker")
    names = ("messages[1].reasoning_content", "messages[1].thinking", "messages[0].tool_calls")
    text = "|".join(f"{{{{ {name} }}}}" for name in names)
    (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    chat: list[dict[str, Any]] = [
        {**USER, "tool_calls": None},
        {**ANSWER, "reasoning_content": "hm"},
    ]
    same_as_transformers(folder, chat)
    assert of(folder).render(chat) == "hm|hm|"


def test_a_template_file_goes_before_the_tokenizers_settings(
    family: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(family("llama"), tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    same_as_transformers(folder, CHATS[0])
    assert chat_templates.of_model(folder).source == "chat_template.jinja"


def test_of_several_templates_the_default_is_taken(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    settings = chat_templates.read_json(folder / "tokenizer_config.json")
    write(folder / "tokenizer_config.json", settings | {"chat_template": several})
    assert of(folder).render(CHATS[0]) == "yes"


def test_without_a_template_chatml_ends_turns_with_a_token_the_model_knows(
    tiny_model: Path, tmp_path: Path
) -> None:
    known = bare(tiny_model, tmp_path / "known")
    assert of(known).render([USER]).endswith("<|im_end|>\n")
    foreign = bare(tiny_model, tmp_path / "foreign")
    raw = (foreign / "tokenizer.json").read_text(encoding="utf-8")
    (foreign / "tokenizer.json").write_text(raw.replace("<|im_end|>", "</s>"), encoding="utf-8")
    settings = chat_templates.read_json(foreign / "tokenizer_config.json")
    write(foreign / "tokenizer_config.json", settings | {"eos_token": "</s>"})
    template, chosen = of(foreign), chat_templates.of_model(foreign)
    assert chosen.fallback
    assert template.render([USER]).endswith("</s>\n")
    theirs = AutoTokenizer.from_pretrained(foreign)
    text = theirs.apply_chat_template(CHATS[1], chat_template=chosen.text, tokenize=False)
    assert template.render(CHATS[1]) == text


@pytest.mark.parametrize(
    "attack",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ namespace(_x=1) }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_a_template_reaches_nothing_outside(tiny_model: Path, tmp_path: Path, attack: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(attack, encoding="utf-8")
    try:
        text = of(folder).render(CHATS[0])
    except BadRow as bad:
        text = bad.why
    assert "class" not in text.replace("'__class__'", "")
    assert "builtins" not in text


def test_a_broken_template_is_named_with_its_line() -> None:
    with pytest.raises(Broken, match="Expected an expression") as error:
        Template("\n\n{% for %}", {})
    assert error.value.line == 3


def bare(model: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model / name, folder / name)
    settings = chat_templates.read_json(folder / "tokenizer_config.json")
    settings.pop("chat_template", None)
    write(folder / "tokenizer_config.json", settings)
    return folder


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
