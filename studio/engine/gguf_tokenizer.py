"""The tokenizer inside a GGUF file, made to split words as the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from studio.engine.gguf_file import GgufFacts

GENERAL = frozenset({"", "default", "gpt-2"})
"""Ways to split that are just the general one, GPT-2's."""

SINGLE_DIGITS = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
)
"""Ways that split every digit off, then go on as GPT-2 (llama.cpp, src/llama-vocab.cpp)."""


def read(source: Path, facts: GgufFacts) -> PreTrainedTokenizerBase:
    """The file's tokenizer. transformers reads most files' without asking how they split."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source.parent, gguf_file=source.name, local_files_only=True
    )
    backend = _backend(tokenizer)
    if facts.splits in SINGLE_DIGITS and _is_general(backend.pre_tokenizer):
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
    return tokenizer


def settle(tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer as it loads from the folder, where it is saved in just that form.

    transformers gives some kinds (Qwen2's) the general way to split when it reads them from a
    GGUF, and their own when it reads them from a folder. Saved twice, tokenizer.json holds what
    loading the folder makes of it, whoever reads it.
    """
    tokenizer.save_pretrained(folder)
    settled: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    settled.save_pretrained(folder)
    return settled


def is_exact(tokenizer: PreTrainedTokenizerBase, facts: GgufFacts) -> bool:
    """Whether words are split as the file says: not where the general way stands for another."""
    general = _is_general(_backend(tokenizer).pre_tokenizer)
    return facts.splits in GENERAL or not general


def _is_general(pre_tokenizer: Any) -> bool:
    return isinstance(pre_tokenizer, pre_tokenizers.ByteLevel)


def _backend(tokenizer: Any) -> Any:
    return tokenizer.backend_tokenizer
