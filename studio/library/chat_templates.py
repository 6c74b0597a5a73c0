"""The chat template of a model folder, or the one that is chosen in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.library import foreign, resources

FIELD = "data.template"
CHATML = "chatml"
_LARGEST_BYTES = 1 << 20
# the tokens without which a template is only letters to a model; its end of turn comes first
MARKS: dict[str, tuple[str, ...]] = {
    "chatml": ("<|im_end|>", "<|im_start|>"),
    "llama-3": ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    "mistral": ("</s>", "[INST]", "[/INST]"),
    "gemma": ("<end_of_turn>", "<start_of_turn>"),
    "phi": ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>"),
    "qwen": ("<|im_end|>", "<|im_start|>"),
}


class ChatTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """The jinja text and where it comes from; `fallback` says that it stands in for a missing one.

    `marks` are the tokens it is built of, where it comes with the studio, and `missing` those of
    them that the model's tokenizer has not, once that is known.
    """

    text: str
    source: str
    fallback: bool = False
    marks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def of_model(folder: Path) -> ChatTemplate:
    """The template that transformers would take: its own file, then the tokenizer's settings.

    Without one it is ChatML, whose turns end with the model's own end token where the
    vocabulary has no <|im_end|>, since a model learns to stop only with a token it knows.
    Raises StudioError where a file can't be read.
    """
    if own := _own(folder):
        return own
    found = _studios(CHATML, folder)
    return msgspec.structs.replace(found, source="ChatML", fallback=True)


def chosen(folder: Path, name: str) -> ChatTemplate:
    """The template of this name or file for the model of a folder; the model's own without one.

    Raises StudioError where there is none of that name, or the file can't be read.
    """
    if not name:
        return of_model(folder)
    if name in MARKS:
        return _studios(name, folder)
    path = Path(name).expanduser()
    if path.suffix.casefold() not in (".jinja", ".jinja2", ".j2"):
        raise _refusal(
            "No such chat template",
            f"“{name}” is neither a chat template of the studio nor a .jinja file.",
            f"Choose one of {', '.join(MARKS)}, or the path of a .jinja file.",
        )
    return ChatTemplate(text=_read(path), source=path.name)


def chatml(knows_its_end: bool) -> str:
    """ChatML, whose turns end with the model's own end token where it knows no <|im_end|>."""
    text = resources.path("templates", f"{CHATML}.jinja").read_text(encoding="utf-8")
    return text if knows_its_end else text.replace(f"'{MARKS[CHATML][0]}'", "eos_token")


def has_own(folder: Path) -> bool:
    """Whether the model comes with a template."""
    return _own(folder) is not None


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
        content = foreign.read(path)
    except (OSError, ValueError) as error:
        raise StudioError(
            "Model folder is damaged",
            f"{path.name} in “{path.parent.name}” can't be read: {error}.",
            "Download or copy the model again.",
        ) from error
    return content if isinstance(content, dict) else {}


def _own(folder: Path) -> ChatTemplate | None:
    if (file := folder / "chat_template.jinja").is_file():
        return ChatTemplate(text=_read(file), source=file.name)
    for name in ("tokenizer_config.json", "chat_template.json"):
        if text := _default(read_json(folder / name).get("chat_template")):
            return ChatTemplate(text=text, source=name)
    return None


def _studios(name: str, folder: Path) -> ChatTemplate:
    """A template that comes with the studio; ChatML ends with a token that the model knows."""
    marks = MARKS[name]
    if name == CHATML and _lacks_im_end(folder) and "eos_token" in special_tokens(folder):
        return ChatTemplate(text=chatml(knows_its_end=False), source=name, marks=marks[1:])
    text = resources.path("templates", f"{name}.jinja").read_text(encoding="utf-8")
    return ChatTemplate(text=text, source=name, marks=marks)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("it has more than a megabyte")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise _refusal(
            "Chat template can't be read",
            f"The chat template “{path.name}” can't be read: {why}.",
            "Choose a .jinja file that is there and saved as UTF-8.",
        ) from error


def _refusal(title: str, text: str, fix: str) -> StudioError:
    return StudioError(title, text, fix, (Problem(field=FIELD, text=text, fix=fix),))


def _default(value: object) -> str:
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else ""


def _lacks_im_end(folder: Path) -> bool:
    added = read_json(folder / "tokenizer.json").get("added_tokens", [])
    return not any(token.get("content") == "<|im_end|>" for token in added)
