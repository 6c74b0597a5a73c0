"""A GGUF file turned once into a model folder that everything else can read."""

from __future__ import annotations

import gc
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from studio.core.commands import Cancel, Import, Stop
from studio.core.errors import StudioError
from studio.core.events import Cancelled, Finished
from studio.engine import gguf_file, gguf_tokenizer, load
from studio.engine.gguf_file import GgufFacts
from studio.engine.job import Context
from studio.library import models
from studio.library.files import sweep_partials, whole_folder

PROBE = 'The capital of France is Paris: 1,234 naïve cafés — and {"a": [true]}.\n\tNext line'
"""Text with accents, digits, brackets and white space, for comparing tokenizers and models."""

_INEXACT = (
    "The file splits words in a way named “{}”, which is not known here; the general way is used, "
    "so that a few texts become other tokens than in llama.cpp."
)


class _Unwanted(Exception):
    """The user gave the import up."""


@dataclass(frozen=True)
class _Probe:
    """What the model read from the GGUF says to these tokens, to compare the folder with."""

    ids: list[int]
    logits: torch.Tensor
    vocabulary: dict[str, int]
    eos: int | None


def run(context: Context) -> None:
    """Convert `job.source` into the folder `job.out`, which appears whole or not at all."""
    job = context.job
    assert isinstance(job, Import)
    started = time.monotonic()
    try:
        out = _convert(context, Path(job.source), Path(job.out), job.name)
    except _Unwanted:
        context.channel.emit(Cancelled())
        return
    seconds = time.monotonic() - started
    context.channel.emit(Finished(result={"path": str(out), "seconds": round(seconds, 1)}))


def _convert(context: Context, source: Path, out: Path, name: str) -> Path:
    _say(context, "Checking the file")
    facts = gguf_file.read(source)
    _refuse_taken(out)
    _refuse_full_disk(out, facts)
    _say(context, "Reading the weights")
    model, tokenizer = _read(source, facts)
    with whole_folder(out) as folder:
        _say(context, "Writing the model folder")
        model.save_pretrained(folder)
        settled = gguf_tokenizer.settle(tokenizer, folder)
        probe = _probe(model, settled)
        _describe(folder, source, name or out.name, facts)
        del model
        gc.collect()
        _say(context, "Checking the model folder")
        _check(folder, probe)
        _refuse_changed(tokenizer, probe)
        if not gguf_tokenizer.is_exact(settled, facts):
            context.channel.note(_INEXACT.format(facts.splits), "warning")
        _say(context, "Done")
    return out


def _say(context: Context, text: str) -> None:
    if any(isinstance(command, Cancel | Stop) for command in context.channel.commands()):
        raise _Unwanted
    context.channel.stage(text)


def _read(source: Path, facts: GgufFacts) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model with its weights unpacked. A model read otherwise can't be saved."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=facts.dtype,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = gguf_tokenizer.read(source, facts)
    except (ValueError, KeyError, NotImplementedError, IndexError, AttributeError) as error:
        raise _unreadable(source, error) from error
    model: PreTrainedModel = loaded[0]
    report = loaded[1]
    if report["missing_keys"]:
        gap = min(map(str, report["missing_keys"]))
        raise _incomplete(source, gap)
    return model.eval(), tokenizer


def _probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> _Probe:
    ids = list(tokenizer(PROBE)["input_ids"])
    if not ids:
        raise _no_tokens()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
    return _Probe(ids, logits, tokenizer.get_vocab(), tokenizer.eos_token_id)


def _check(folder: Path, before: _Probe) -> None:
    """The folder must load by itself, to the same tokens and the same answers."""
    if problems := models.errors(models.inspect(folder)):
        raise _bad_result(problems[0].text)
    tokenizer = load.load_tokenizer(folder)
    after = _probe(load.load_model(folder, device=torch.device("cpu")), tokenizer)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if not after.ids == before.ids == list(plain.encode(PROBE).ids):
        raise _bad_result("The saved tokenizer makes other tokens each time it is loaded.")
    if not torch.allclose(after.logits, before.logits, rtol=1e-3, atol=1e-3):
        raise _bad_result("The saved model answers otherwise than the file's.")
    if str(tokenizer.decode(after.ids, skip_special_tokens=True)).strip() != PROBE:
        raise _bad_result("The tokenizer does not give back the text that it was given.")


def _refuse_changed(tokenizer: PreTrainedTokenizerBase, probe: _Probe) -> None:
    """The numbers of the tokens are the file's: the weights know them by these alone."""
    if probe.vocabulary != tokenizer.get_vocab() or probe.eos != tokenizer.eos_token_id:
        raise _bad_result("The saved tokenizer numbers its tokens otherwise than the file's.")


def _describe(folder: Path, source: Path, name: str, facts: GgufFacts) -> None:
    front = f"---\nlicense: {facts.licence}\n---\n" if facts.licence else ""
    readme = (
        f"{front}# {name}\n\nConverted from the GGUF file `{source.name}` by Finetune Studio. "
        f"Its weights were stored as {facts.stored}; they are unpacked here to {facts.dtype_name}, "
        "which does not bring back what that rounded away.\n"
    )
    (folder / "README.md").write_text(readme, "utf-8")
    note = {"name": name, "source": "gguf", "file": source.name, "licence": facts.licence}
    (folder / "studio.json").write_text(json.dumps(note, indent=2) + "\n", "utf-8")


def _refuse_taken(out: Path) -> None:
    sweep_partials(out.parent, out.name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudioError(
            "Folder is taken",
            f"{out} already exists and isn't empty.",
            "Choose another name for the model, or delete that folder first.",
        )


def _refuse_full_disk(out: Path, facts: GgufFacts) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out.parent).free
    if facts.unpacked_bytes > free:
        raise StudioError(
            "Not enough room",
            f"The model takes {facts.unpacked_bytes / 1e9:.1f} GB unpacked; "
            f"{free / 1e9:.1f} GB are free.",
            "Free some space on the disk of the models folder.",
        )


def _unreadable(source: Path, error: Exception) -> StudioError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return StudioError(
        "GGUF can't be converted",
        f"transformers can't read {source.name}: {said.rstrip('.')}.",
        "Get the model as a safetensors folder from the hub instead.",
    )


def _incomplete(source: Path, gap: str) -> StudioError:
    return StudioError(
        "GGUF is incomplete",
        f"{source.name} lacks weights of the model, {gap} first.",
        "Get the file again, or the model as a safetensors folder.",
    )


def _no_tokens() -> StudioError:
    return StudioError(
        "Tokenizer can't be converted",
        "The tokenizer in the file makes no tokens of a plain sentence.",
        "Get the model as a safetensors folder from the hub instead.",
    )


def _bad_result(text: str) -> StudioError:
    return StudioError(
        "Conversion failed its check",
        text,
        "Nothing was kept; get the model as a safetensors folder from the hub instead.",
    )
