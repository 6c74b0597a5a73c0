"""The chat template of a model folder, or the one that stands in where it has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + END + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class ChatTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """The jinja text and where it comes from; `fallback` says that it is not the model's own."""

    text: str
    source: str
    fallback: bool = False


def of_model(folder: Path) -> ChatTemplate:
    """The template that transformers would take: its own file, then the tokenizer's settings.

    Without one it is ChatML, whose turns end with the model's own end token where the
    vocabulary has no <|im_end|>, since a model learns to stop only with a token it knows.
    Raises StudioError where a file can't be read.
    """
    if (file := folder / "chat_template.jinja").is_file():
        return ChatTemplate(text=file.read_text(encoding="utf-8"), source=file.name)
    for name in ("tokenizer_config.json", "chat_template.json"):
        if text := _default(read_json(folder / name).get("chat_template")):
            return ChatTemplate(text=text, source=name)
    own_end = _lacks_im_end(folder) and "eos_token" in special_tokens(folder)
    end = "eos_token" if own_end else "'<|im_end|>'"
    return ChatTemplate(text=CHATML.replace("END", end), source="ChatML", fallback=True)


def special_tokens(folder: Path) -> dict[str, str]:
    """bos_token, eos_token and the like, by name, as templates may use them."""
    found: dict[str, Any] = read_json(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in found:
        found = found | read_json(folder / "special_tokens_map.json")
    tokens = {}
    for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        value = found.get(f"{name}_token")
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            tokens[f"{name}_token"] = value
    return tokens


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; nothing where there is no file, StudioError where it is broken."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise StudioError(
            "Model folder is damaged",
            f"{path.name} in “{path.parent.name}” can't be read: {error}.",
            "Download or copy the model again.",
        ) from error
    return content if isinstance(content, dict) else {}


def _default(value: object) -> str:
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else ""


def _lacks_im_end(folder: Path) -> bool:
    added = read_json(folder / "tokenizer.json").get("added_tokens", [])
    return not any(token.get("content") == "<|im_end|>" for token in added)
