"""The token that ends an answer: what a chat template puts behind one."""

from __future__ import annotations

from pathlib import Path

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from studio.engine.load import load_tokenizer

_ASKED, _ANSWER = "Hello", "Hello yourself"


def of(tokenizer: PreTrainedTokenizerBase, template: str = "") -> frozenset[int]:
    """The id that follows an answer where it is a special token; none where none is, or the
    template can't be rendered."""
    messages: list[dict[str, str]] = [
        {"role": "user", "content": _ASKED},
        {"role": "assistant", "content": _ANSWER},
    ]
    try:
        whole = tokenizer.apply_chat_template(
            messages, chat_template=template or None, tokenize=False
        )
    except (TemplateError, ValueError):
        return frozenset()
    rest = str(whole).rpartition(_ANSWER)[2]
    behind = tokenizer(rest, add_special_tokens=False)["input_ids"][:1] if rest else []
    special = {tokenizer.eos_token_id, *tokenizer.added_tokens_decoder}
    return frozenset(int(token) for token in behind if token in special)


def of_folder(folder: Path) -> frozenset[int]:
    """The same for the tokenizer and the template of a model folder."""
    return of(load_tokenizer(folder))
