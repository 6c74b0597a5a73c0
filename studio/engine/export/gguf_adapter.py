"""The adapter alone as GGUF, for llama.cpp and Ollama beside a base that is there already."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from studio.engine.base_choice import Choice
from studio.engine.export import Tick, Wanted, cards, gguf_notes
from studio.engine.export.bare_adapter import base_name
from studio.engine.llama_cpp import convert, library, lora
from studio.engine.load import stored_dtype
from studio.engine.passport import Live
from studio.engine.runtimes import Runtime
from studio.engine.runtimes.of_llama_cpp import OfLlamaCpp
from studio.library import adapter_files, parts
from studio.library.models import inspect

BASE_FILE = "base.gguf"
REMARK = (
    "The base has to be there as GGUF as well: put its file in place of base.gguf, or write the\n"
    "name of the same model in Ollama behind FROM. It is {base}."
)


class GgufAdapter:
    """An adapter that llama.cpp can hold."""

    choice: Choice | None = None

    def __init__(self, wanted: Wanted, adapter: Path) -> None:
        self._wanted, self._adapter = wanted, adapter
        adapter_files.check_shapes(adapter, wanted.model)
        lora.changes(adapter, wanted.model)
        dtype = gguf_notes.exact_dtype(wanted.model)
        self.precision = "float16" if dtype == torch.float32 else str(dtype).removeprefix("torch.")
        self.bytes = 2 * adapter_files.size(adapter)
        self.live: Live | None = Live(wanted.model, adapter, dtype)

    def write(self, folder: Path, tick: Tick) -> None:
        model, name = self._wanted.model, self._wanted.name
        file = folder / f"{gguf_notes.file_stem(name)}.gguf"
        lora.write(self._adapter, model, file, tick)
        notes = gguf_notes.of(model, system=self._wanted.job.system)
        remark = REMARK.format(base=base_name(model))
        gguf_notes.write(folder, notes, f"./{BASE_FILE}", f"./{file.name}", remark)
        usage = [
            f"# {base_name(model)} as GGUF is needed beside it",
            f"llama-server -m {BASE_FILE} --lora {file.name}",
            f"ollama create {gguf_notes.ollama_name(name)} -f {gguf_notes.MODELFILE}",
        ]
        cards.write(
            folder, name=name, model=model, adapter=self._adapter,
            what=f"A LoRA adapter for {base_name(model)}, as GGUF.",
            usage=usage, language="sh", library="gguf",
        )  # fmt: skip

    def open(self, folder: Path) -> Runtime:
        """The base, converted for the check alone, with the adapter beside it."""
        [file] = folder.glob("*.gguf")
        model = self._wanted.model
        scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        base = Path(scratch.name) / BASE_FILE
        try:
            convert.model(
                model, base, convert.STORED[stored_dtype(model)], name=model.name,
                licence=inspect(model).licence, tick=lambda share: None,
            )  # fmt: skip
            return OfLlamaCpp(base, file, scratch.cleanup)
        except BaseException:
            scratch.cleanup()
            raise


def prepare(wanted: Wanted) -> GgufAdapter:
    """Raises StudioError where a part is missing or llama.cpp has no form for the adapter."""
    assert wanted.adapter is not None
    parts.need(library.PART, convert.PART)
    return GgufAdapter(wanted, wanted.adapter)
