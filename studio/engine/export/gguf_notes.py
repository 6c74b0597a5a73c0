"""What lies beside a GGUF file: a Modelfile for Ollama, and lines on how others read the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from gguf import GGUFReader

from studio.core import ollama, turns
from studio.core.turns import Messages, Turns
from studio.engine import ends
from studio.engine.load import load_tokenizer, stored_dtype
from studio.library.chat_templates import read_json
from studio.library.files import write_whole
from studio.library.models import inspect

MODELFILE = "Modelfile"
CONTEXT = 4096
"""Ollama's own default is short; models that know less get what they know."""
ROOM = 1.4
"""Memory that a loaded model needs, its weights being 1."""
LETTERS_OF_A_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-_."


@dataclass(frozen=True)
class Notes:
    """What a Modelfile is made of; `bos` is the text that llama.cpp puts before every prompt."""

    turns: Turns | None
    stops: tuple[str, ...]
    settings: dict[str, Any]
    system: str
    licence: str
    context: int
    bos: str = field(default="")


def of(model: Path, file: Path | None = None, system: str = "") -> Notes:
    """The notes on a model folder, and on the GGUF `file` made of it."""
    tokenizer = load_tokenizer(model)

    def render(messages: Messages) -> str:
        return str(
            tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        )

    settings = read_json(model / "generation_config.json")
    named = settings.get("eos_token_id")
    ids = {*ends.of(tokenizer), *(named if isinstance(named, list) else [named])} - {None}
    facts = inspect(model)
    return Notes(
        turns=turns.find(render) if tokenizer.chat_template else None,
        stops=tuple(str(tokenizer.convert_ids_to_tokens(token)) for token in sorted(ids)),
        settings=settings,
        system=system,
        licence=facts.licence,
        context=min(CONTEXT, facts.context_length or CONTEXT),
        bos=_added(file, str(tokenizer.bos_token or "")) if file else "",
    )


def exact_dtype(model: Path) -> torch.dtype:
    """The number format in which the live model is asked: 32 bits where memory allows, since
    llama.cpp sums in 32 bits; as it is stored else."""
    needed = ROOM * 4 * inspect(model).parameters
    if torch.cuda.is_available():
        free = torch.cuda.mem_get_info()[0]
    else:
        free = psutil.virtual_memory().available
    return torch.float32 if needed < free else stored_dtype(model)


def write(folder: Path, notes: Notes, source: str, adapter: str = "", remark: str = "") -> None:
    """The Modelfile."""
    text = ollama.modelfile(
        source, adapter=adapter, remark=remark, turns=notes.turns, bos=notes.bos,
        stops=notes.stops, system=notes.system, settings=notes.settings, context=notes.context,
        licence=notes.licence,
    )  # fmt: skip
    write_whole(folder / MODELFILE, text)


def usage(name: str, file: str) -> Sequence[str]:
    """Lines of a shell for those who read GGUF."""
    called = ollama_name(name)
    return [
        "# Ollama, in this folder; the Modelfile has template, stops and system prompt",
        f"ollama create {called} -f {MODELFILE}",
        f"ollama run {called}",
        "",
        "# llama.cpp; it runs the template that is in the file",
        f"llama-server -m {file}",
        "",
        "# LM Studio: copies it into its own models, and runs the template in the file",
        f"lms import {file}",
    ]


def file_stem(name: str) -> str:
    """A file's name without blanks, as Modelfiles and command lines like them."""
    return "-".join(name.split())


def ollama_name(name: str) -> str:
    """A name that Ollama takes."""
    plain = "".join(c if c in LETTERS_OF_A_NAME else "-" for c in name.lower()).strip("-_.")
    return plain or "model"


def _added(file: Path, bos: str) -> str:
    """The first token's text where the file's tokenizer adds it by itself, "" else."""
    found = GGUFReader(file).get_field("tokenizer.ggml.add_bos_token")
    return bos if found is not None and found.contents() else ""
