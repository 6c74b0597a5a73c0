"""Masks over real chat templates: trained ids are exactly the assistant's, for all of them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tokenizers import AddedToken, Tokenizer
from transformers import AutoTokenizer

from studio.core.recipe import DataPart
from studio.library import resources
from studio.preparer.messages import BadRow, Message, Sample
from studio.preparer.tokens import Encoder, Tokens

SYSTEM = {"role": "system", "content": "Be brief, be kind."}
ASKED = {"role": "user", "content": "What is “it”?\nTell me: here 🙂."}
TOLD = {"role": "assistant", "content": "It is — naïve — 3.14159 km away.\n\n- one\n- two"}
AGAIN = {"role": "user", "content": "It is — naïve — 3.14159 km away.\n\n- one\n- two"}
LAST = {"role": "assistant", "content": "here 🙂."}
CALL = {"name": "weather", "arguments": {"city": "Tromsø", "days": 2}}
CALLS = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": CALL}]}
HEARD = {"role": "tool", "name": "weather", "content": '{"sky": "grey"}'}
AFTER = {"role": "assistant", "content": "Grey, in Tromsø."}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CHATS: dict[str, tuple[Message, ...]] = {
    "single": (ASKED, TOLD),
    "multi": (ASKED, TOLD, AGAIN, LAST),
    "system": (SYSTEM, ASKED, TOLD, AGAIN, LAST),
    "tool": (SYSTEM, ASKED, CALLS, HEARD, AFTER),
    "tool again": (ASKED, CALLS, HEARD, AFTER, AGAIN, LAST),
}
WEATHER = '"weather", "%s": {"city": "Tromsø", "days": 2}}'
QWEN_CALL = '<tool_call>\n{"name": ' + WEATHER % "arguments" + "\n</tool_call>"
LLAMA_CALL = '{"name": ' + WEATHER % "parameters"


class Family(NamedTuple):
    """What a template needs of a tokenizer; `call` is how it writes CALLS, "" where it can't.
    `thinks` says that the last answer begins with an empty thought."""

    file: str
    bos: str
    eos: str
    end: str
    others: tuple[str, ...]
    call: str = ""
    thinks: bool = False


IM = ("<|im_start|>",)
HEADERS = ("<|start_header_id|>", "<|end_header_id|>")
TURN = ("<start_of_turn>",)
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
TEXT, EOT = "<|begin_of_text|>", "<|eot_id|>"
FAMILIES = {
    "ChatML": Family("chatml", "", "<|im_end|>", "<|im_end|>", IM),
    "Llama-3": Family("trl/llama3", TEXT, EOT, EOT, HEADERS),
    "Llama-3.1": Family("trl/llama3_1", TEXT, EOT, EOT, HEADERS, LLAMA_CALL),
    "Llama-3.2": Family("trl/llama3_2", TEXT, EOT, EOT, HEADERS, LLAMA_CALL),
    "our Llama-3": Family("llama-3", TEXT, EOT, EOT, HEADERS, LLAMA_CALL),
    "our Mistral": Family("mistral", "<s>", "</s>", "</s>", ("[INST]", "[/INST]")),
    "Gemma": Family("trl/gemma", "<bos>", "<eos>", "<end_of_turn>", TURN),
    "Gemma-3": Family("trl/gemma3", "<bos>", "<eos>", "<end_of_turn>", TURN),
    "our Gemma": Family("gemma", "<bos>", "<eos>", "<end_of_turn>", TURN),
    "Phi-3": Family("trl/phi3", "<s>", "<|endoftext|>", "<|end|>", ROLES),
    "Phi-3.5": Family("trl/phi3_5", "<s>", "<|endoftext|>", "<|end|>", ROLES),
    "our Phi": Family("phi", "<s>", "<|endoftext|>", "<|end|>", ROLES),
    "Qwen-2.5": Family("trl/qwen2_5", "", "<|im_end|>", "<|im_end|>", IM, QWEN_CALL),
    "Qwen-3": Family("trl/qwen3", "", "<|im_end|>", "<|im_end|>", IM, QWEN_CALL, True),
    "Qwen-3-2507": Family("trl/qwen3_instruct_2507", "", "<|im_end|>", "<|im_end|>", IM, QWEN_CALL),
    "our Qwen": Family("qwen", "", "<|im_end|>", "<|im_end|>", IM, QWEN_CALL),
}
MARKED = ("Llama-3", "Gemma", "Gemma-3", "Phi-3", "Phi-3.5", "Qwen-2.5", "Qwen-3", "Qwen-3-2507")
THOUGHT = "<think>\n\n</think>\n\n"
Made = Callable[[str], Path]


def template_text(file: str) -> str:
    """A template of the installed trl, which needn't be imported for it, or one of the studio."""
    if not file.startswith("trl/"):
        return resources.path("templates", f"{file}.jinja").read_text("utf-8")
    found = importlib.util.find_spec("trl")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "chat_templates"
    return (folder / f"{file.removeprefix('trl/')}.jinja").read_text("utf-8")


@pytest.fixture(scope="module")
def made(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A folder with the starter model's tokenizer and a family's template and special tokens."""
    root = tmp_path_factory.mktemp("real templates")

    def folder(name: str) -> Path:
        place = root / name
        if not place.exists():
            write(place, FAMILIES[name], starter_model)
        return place

    return folder


def write(folder: Path, family: Family, base: Path) -> None:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    marks = {family.bos, family.eos, family.end, *family.others} - {""}
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in sorted(marks)])
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": family.eos,
        "chat_template": template_text(family.file),
    } | ({"bos_token": family.bos} if family.bos else {})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def encoded(folder: Path, *samples: Sample) -> tuple[Encoder, list[Tokens | BadRow]]:
    with Encoder(folder, DataPart()) as encoder:
        return encoder, encoder.encode(samples)


def sample(case: str, chat: tuple[Message, ...] = ()) -> Sample:
    tools = (TOOL,) if case.startswith("tool") else ()
    return Sample(messages=chat or CHATS[case], tools=tools)


def runs(encoder: Encoder, tokens: Tokens) -> list[str]:
    """The decoded runs of trained tokens."""
    found: list[list[int]] = []
    for place, token in enumerate(tokens.ids):
        if tokens.trained[place]:
            if not tokens.trained[place - 1]:
                found.append([])
            found[-1].append(token)
    return [encoder.tokenizer.decode(run, skip_special_tokens=False) for run in found]


def expected(family: Family, chat: tuple[Message, ...]) -> list[str]:
    answers = [one for one in chat if one["role"] == "assistant"]
    said = [(family.call if one is CALLS else str(one["content"])) + family.end for one in answers]
    if family.thinks:
        asked = max(i for i, one in enumerate(chat) if one["role"] == "user")
        later = sum(one["role"] == "assistant" for one in chat[asked:])
        # Qwen 3 thinks in the last answer alone, unless a thought is given
        said[-1] = THOUGHT + said[-1] if later else said[-1]
    return said


def context(encoder: Encoder, tokens: Tokens) -> str:
    """What isn't trained."""
    rest = [token for token, trained in zip(tokens.ids, tokens.trained, strict=True) if not trained]
    return encoder.tokenizer.decode(rest, skip_special_tokens=False)


def otherwise(chat: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same chat with other answers, and the same ones in the user's mouth."""
    return tuple(
        {**one, "content": f"Zebra {place}"}
        if one["role"] == "assistant" and one["content"]
        else one
        for place, one in enumerate(chat)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_trained_ids_are_exactly_the_assistants(made: Made, name: str) -> None:
    family = FAMILIES[name]
    samples = [sample(case) for case in CHATS]
    samples += [sample(case, otherwise(CHATS[case])) for case in CHATS]
    encoder, rows = encoded(made(name), *samples)
    for case, tokens, other in zip(CHATS, rows, rows[len(CHATS) :], strict=False):
        if case.startswith("tool") and not family.call:
            assert isinstance(tokens, BadRow), "a call that the template leaves out is not learnt"
            continue
        assert isinstance(tokens, Tokens), tokens.why
        assert isinstance(other, Tokens)
        found = [text.removeprefix(" ") for text in runs(encoder, tokens)]
        assert found == expected(family, CHATS[case])
        assert context(encoder, tokens) == context(encoder, other), "other answers, same context"
        assert tokens.ends
        assert tokens.proved
        assert not tokens.merged
        assert not tokens.doubled


@pytest.mark.parametrize("name", MARKED)
def test_masks_are_those_of_trls_training_templates(made: Made, name: str) -> None:
    """trl marks answers in templates of its own; it trains a line break or an end of text more."""
    folder, family = made(name), FAMILIES[name]
    # its Qwen 3 thinks in every answer, where the model's own does in the last
    cases = ["single"] if family.thinks else ["single", "multi"]
    theirs = AutoTokenizer.from_pretrained(folder)
    _, rows = encoded(folder, *map(sample, cases))
    for case, ours in zip(cases, rows, strict=True):
        marked = theirs.apply_chat_template(
            list(CHATS[case]),
            chat_template=template_text(f"{family.file}_training"),
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        assert isinstance(ours, Tokens)
        assert ours.ids == marked["input_ids"]
        pairs = list(zip(ours.ids, ours.trained, marked["assistant_masks"], strict=True))
        more = {token for token, trained, mask in pairs if mask and not trained}
        assert {theirs.decode([token]).strip() for token in more} <= {"", family.eos}
        assert not [token for token, trained, mask in pairs if trained and not mask]


@pytest.mark.parametrize("name", [name for name, one in FAMILIES.items() if one.call])
def test_calls_and_tools_reach_templates_as_in_transformers(made: Made, name: str) -> None:
    theirs = AutoTokenizer.from_pretrained(made(name))
    text = theirs.apply_chat_template(list(CHATS["tool"]), tools=[TOOL], tokenize=False)
    as_json = {**CALL, "arguments": json.dumps(CALL["arguments"])}
    spelt = {**CALLS, "tool_calls": [{"type": "function", "function": as_json}]}
    chat = tuple(spelt if one is CALLS else one for one in CHATS["tool"])
    _, (ours, again) = encoded(made(name), sample("tool"), sample("tool", chat))
    assert isinstance(ours, Tokens)
    assert ours.text == text
    assert isinstance(again, Tokens)
    assert again.text == text, "arguments may be the JSON text that OpenAI's files hold"
