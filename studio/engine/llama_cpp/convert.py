"""llama.cpp's own converters, each in a process of its own: model folders and adapters to GGUF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import torch

from studio.core.errors import StudioError
from studio.engine import children
from studio.library import parts

PART = "gguf-converters"
OUTTYPES = ("f32", "f16", "bf16", "q8_0")
"""Number formats that the converter writes by itself."""

STORED = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
"""What keeps weights of a type as they are."""

Tick = Callable[[float], None]
"""Told the share done so far; may raise to break off."""

_BAR = re.compile(r"Writing:\s+(\d+)%")


def outtype(kind: str) -> str | None:
    """How the converter calls a kind; None for those that the quantizer has to make."""
    return kind.lower() if kind.lower() in OUTTYPES else None


def model(folder: Path, out: Path, outtype: str, *, name: str, licence: str, tick: Tick) -> None:
    """Write a model folder as one GGUF file; what is at `out` when this raises is no file."""
    about = out.with_suffix(".json")
    about.write_text(json.dumps(_about(name, licence)), "utf-8")
    try:
        words: list[str | Path] = [folder, "--outfile", out, "--outtype", outtype]
        words += ["--metadata", about]
        _run("convert_hf_to_gguf.py", words, folder.name, tick)
    finally:
        about.unlink()


def adapter(folder: Path, base: Path, out: Path, *, tick: Tick) -> None:
    """Write a plain LoRA adapter, as llama.cpp reads its strength, as GGUF in 32 bits."""
    words: list[str | Path] = ["--base", base, "--outfile", out, "--outtype", "f32", folder]
    _run("convert_lora_to_gguf.py", words, base.name, tick)


def _about(name: str, licence: str) -> dict[str, str]:
    about = {"general.name": name}
    # the licence itself it takes from the model card alone
    return about | ({"general.license.name": licence} if licence else {})


def _run(script: str, words: list[str | Path], what: str, tick: Tick) -> None:
    parts.need(PART)
    share = 0.0

    def hear(line: str) -> None:
        nonlocal share
        if found := _BAR.search(line):
            share = int(found[1]) / 100

    program = parts.folder(parts.find(PART)) / script
    launcher = Path(__file__).with_name("no_remote_code.py")
    command = children.python(launcher, program, *words)
    status, last = children.run(command, hear, lambda: tick(share))
    if status:
        raise _failed(what, last)


def _failed(what: str, last: list[str]) -> StudioError:
    text = "\n".join(last)
    if "pre-tokenizer was not recognized" in text:
        return StudioError(
            "llama.cpp doesn't know this tokenizer",
            f"The tokenizer of {what} splits words in a way that llama.cpp's converter has no name "
            "for.",
            "Export the merged model in safetensors; GGUF needs a tokenizer of a known family.",
        )
    if found := re.search(r"Model (\S+) is not supported", text):
        return StudioError(
            "llama.cpp doesn't know this architecture",
            f"There is no conversion for {found[1]}.",
            "Export the merged model in safetensors.",
        )
    said = [line for line in last if not _BAR.search(line)]
    return StudioError(
        "The conversion failed",
        f"llama.cpp's converter gave up on {what}: {_reason(said)}.",
        "The job's log has all that it said; export the merged model in safetensors meanwhile.",
    )


def _reason(lines: list[str]) -> str:
    named = [line for line in lines if re.match(r"(\w+Error|ERROR)", line)]
    return ((named or lines or ["it gave no reason"])[-1].strip()[:300]).rstrip(".")
