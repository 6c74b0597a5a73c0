"""The adapter alone, in PEFT's own form, with a card that says what it belongs on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from peft import PeftModel

from studio.engine.base_choice import Choice
from studio.engine.export import Tick, Wanted, cards
from studio.engine.load import load_model, load_tokenizer, stored_dtype
from studio.engine.passport import Live
from studio.engine.precision import best_device
from studio.engine.runtimes import Runtime
from studio.engine.runtimes.of_transformers import OfTransformers
from studio.library import adapter_files, chat_templates
from studio.library.files import write_whole
from studio.library.models.facts import note_of

TEMPLATE = "chat_template.jinja"


class BareAdapter:
    """Copies the adapter's files; its base is named by hub id where that is known, by its folder's
    name else, and never by a path."""

    choice: Choice | None = None

    def __init__(self, wanted: Wanted, adapter: Path) -> None:
        self._wanted, self._adapter = wanted, adapter
        adapter_files.check_shapes(adapter, wanted.model)
        self._dtype = stored_dtype(wanted.model)
        self.precision = str(self._dtype).removeprefix("torch.")
        self.bytes = adapter_files.size(adapter)
        self.live: Live | None = Live(wanted.model, adapter, self._dtype)

    def write(self, folder: Path, tick: Tick) -> None:
        copy(self._adapter, folder, base_name(self._wanted.model), self._wanted.model)
        tick(1.0)
        base = base_name(self._wanted.model)
        name = self._wanted.name
        usage = [
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{base}")',
            f'tokenizer.chat_template = open("{name}/{TEMPLATE}", encoding="utf-8").read()',
            f'model = AutoModelForCausalLM.from_pretrained("{base}")',
            f'model = PeftModel.from_pretrained(model, "{name}")',
        ]
        cards.write(
            folder, name=name, model=self._wanted.model, adapter=self._adapter,
            what=f"A LoRA adapter for {base}.", usage=usage, library="peft",
            front=front(self._wanted.model),
        )  # fmt: skip

    def open(self, folder: Path) -> Runtime:
        """The base with what was written, by plain peft."""
        model = load_model(self._wanted.model, self._dtype, device=best_device())
        return of_peft(model, folder, self._wanted.model)


def prepare(wanted: Wanted) -> BareAdapter:
    """Raises StudioError where the adapter doesn't belong on this base."""
    assert wanted.adapter is not None
    return BareAdapter(wanted, wanted.adapter)


def of_peft(model: torch.nn.Module, folder: Path, base: Path) -> OfTransformers:
    """A loaded base with the adapter of a folder, as a script of its card would have it."""
    text = (folder / TEMPLATE).read_text("utf-8") if (folder / TEMPLATE).is_file() else ""
    peft = PeftModel.from_pretrained(model, str(folder), torch_device=str(best_device()))
    return OfTransformers(peft.eval(), load_tokenizer(base, text))


def base_name(model: Path) -> str:
    """What others know the base by: the hub's name where it came from there."""
    note = note_of(model)
    return str(note.get("repo") or "") or model.name


def front(model: Path) -> list[str]:
    """What the hub reads of the base; only a name of the hub may stand there."""
    note = note_of(model)
    return [f"base_model: {note['repo']}"] if note.get("repo") else []


def copy(adapter: Path, folder: Path, base: str, model: Path) -> None:
    """The files of an adapter, the base named anew, the template that it was trained with."""
    for file in adapter_files.belonging(adapter):
        if file.name not in (cards.CARD, adapter_files.CONFIG):
            shutil.copyfile(file, folder / file.name)
    config = adapter_files.read_config(adapter).whole
    config = config | {"base_model_name_or_path": base}
    write_whole(folder / adapter_files.CONFIG, json.dumps(config, indent=2) + "\n")
    if not (folder / TEMPLATE).exists():
        write_whole(folder / TEMPLATE, chat_templates.of_model(model).text)
