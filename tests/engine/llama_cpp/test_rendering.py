"""Prompts rendered by llama-server are those of the model's own template."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from studio.core.errors import StudioError
from studio.engine.llama_cpp import rendering
from studio.engine.load import load_tokenizer

TALKS = [
    [{"role": "user", "content": 'Hi <b> & "ä"\n'}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ],
]


def test_the_same_prompt_byte_for_byte(small: Path, small_gguf: Path) -> None:
    tokenizer = load_tokenizer(small)
    wanted = [
        tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        for talk in TALKS
    ]
    assert rendering.render(small_gguf, TALKS) == wanted
    names = [child.name() for child in psutil.Process().children(recursive=True)]
    assert not any("llama-server" in name for name in names)


def test_a_broken_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"GGUF no")
    with pytest.raises(StudioError, match="llama-server gave up"):
        rendering.render(tmp_path / "no.gguf", TALKS)
