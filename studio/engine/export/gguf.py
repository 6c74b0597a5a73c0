"""A model as GGUF: merged, written by llama.cpp's converter, rounded by its quantizer, with a
Modelfile for Ollama."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from studio.core.errors import StudioError
from studio.core.exporting import IMPORTANCE
from studio.engine import base_choice, merged_files, streaming_merge
from studio.engine.base_choice import Choice
from studio.engine.export import Tick, Wanted, cards, gguf_notes
from studio.engine.export.merged import live_of, refuse_quantised
from studio.engine.llama_cpp import convert, importance, library, quantize
from studio.engine.load import stored_dtype
from studio.engine.passport import Live
from studio.engine.runtimes import Runtime
from studio.engine.runtimes.of_llama_cpp import OfLlamaCpp
from studio.library import adapter_files, adapters, parts
from studio.library.models import inspect, weights

MERGED, CONVERTED = 0.3, 0.7
"""Where on the bar merging and converting end, where quantizing follows."""

COUNTED = 0.1
"""The bar's share of measuring what counts, before quantizing."""
NO_ROWS = (
    "Quantized without an importance matrix: there are no training rows of a run of this studio, "
    "or too little memory to read them."
)

MERGED_TYPES = {"F32": torch.float32, "BF16": torch.bfloat16}
"""What is merged in to be written as these kinds. The others come from float16, which keeps more
of a sum than bfloat16."""


class Gguf:
    """An export that is planned. Beside the file it writes a Modelfile and a card; what it needs on
    the way lies in the same folder and goes as soon as it isn't needed any more."""

    def __init__(self, wanted: Wanted) -> None:
        assert wanted.quantization is not None
        self._wanted, self._kind = wanted, wanted.quantization.id
        model, adapter = wanted.model, wanted.adapter
        if adapter:
            adapter_files.check_shapes(adapter, model)
        self._dtype = MERGED_TYPES.get(self._kind, torch.float16)
        self._plan = streaming_merge.plan(model, adapter, self._dtype) if adapter else None
        self.precision = wanted.quantization.precision
        self.choice: Choice | None = None
        if adapter:
            self.choice = base_choice.choose(
                wanted.home, model, adapter, wanted.job.onto, wanted.tick
            )
        exact = gguf_notes.exact_dtype(model)
        if exact != torch.float32 and not self.precision.endswith("-bit"):
            self.precision = str(exact).removeprefix("torch.")
        self.live: Live | None = live_of(wanted, exact, self.choice)
        self._between = convert.outtype(self._kind) is None
        self._few_bits = wanted.quantization.coarse
        self.bytes = self._most(wanted.quantization.bits)

    def write(self, folder: Path, tick: Tick) -> None:
        source = self._merge(folder, lambda share: tick(share * MERGED))
        begun = MERGED if self._plan else 0.0
        file = folder / f"{gguf_notes.file_stem(self._wanted.name)}-{self._kind}.gguf"
        self._convert(source, file, lambda share: tick(begun + share * (1 - begun)))
        notes = gguf_notes.of(source, file, system=self._wanted.job.system)
        if source != self._wanted.model:
            shutil.rmtree(source)
        said = quantize.fallbacks(file, self._kind).sentence
        if said:
            self._wanted.note(said)
        gguf_notes.write(folder, notes, f"./{file.name}")
        cards.write(
            folder, name=self._wanted.name, model=self._wanted.model, adapter=self._wanted.adapter,
            what=f"A GGUF file in {self._kind}. {said}".strip(),
            usage=gguf_notes.usage(self._wanted.name, file.name), language="sh", library="gguf",
        )  # fmt: skip

    def open(self, folder: Path) -> Runtime:
        [file] = folder.glob("*.gguf")
        return OfLlamaCpp(file)

    def _merge(self, folder: Path, tick: Tick) -> Path:
        """The folder that is converted: the model itself, or a merged one inside `folder`."""
        if self._plan is None:
            return self._wanted.model
        merged = folder / self._wanted.name
        merged.mkdir()
        streaming_merge.write(self._plan, merged, tick, self.live.held if self.live else None)
        merged_files.write(
            self._wanted.model, self._wanted.adapter, merged, name=self._wanted.name,
            dtype=self._dtype, said=self._plan.settings,
        )  # fmt: skip
        return merged

    def _convert(self, source: Path, file: Path, tick: Tick) -> None:
        name, licence = self._wanted.name, inspect(self._wanted.model).licence
        outtype = convert.outtype(self._kind)
        if outtype is not None:
            convert.model(source, file, outtype, name=name, licence=licence, tick=tick)
            return
        whole = file.with_name("unrounded.gguf")
        convert.model(
            source, whole, convert.STORED[stored_dtype(source)], name=name, licence=licence,
            tick=lambda share: tick(share * CONVERTED),
        )  # fmt: skip
        counts = self._importance(source, whole, lambda s: tick(CONVERTED + s * COUNTED))
        begun = CONVERTED + (COUNTED if counts else 0.0)
        quantize.quantize(
            whole, file, self._kind, lambda share: tick(begun + share * (1 - begun)),
            importance=counts,
        )  # fmt: skip
        whole.unlink()
        if counts:
            counts.unlink()

    def _importance(self, source: Path, whole: Path, tick: Tick) -> Path | None:
        """What counts most on rows that the adapter learnt from, where it is wanted and known."""
        told = self._wanted.job.settings.get(IMPORTANCE, "auto")
        if told == "no" or (told == "auto" and not self._few_bits):
            return None
        run = adapters.facts(self._wanted.adapter).run if self._wanted.adapter else ""
        rows = base_choice.trained_rows(self._wanted.home, run, importance.MOST_TOKENS)
        if not rows or not base_choice.room(source):
            if told == "yes":
                self._wanted.note(NO_ROWS)
            return None
        out = whole.with_name("importance.safetensors")
        importance.write(source, whole, rows, out, tick)
        return out

    def _most(self, bits: float) -> int:
        """Bytes on the disk at the worst moment."""
        tensors = weights.read(self._wanted.model)[0].values()
        stored = sum(tensor.bytes for tensor in tensors)
        last = int(sum(tensor.numbers for tensor in tensors) * bits / 8)
        whole = self._plan.bytes if self._plan else stored
        return last + (whole if self._plan else 0) + (whole if self._between else 0)


def prepare(wanted: Wanted) -> Gguf:
    """A plan. StudioError where a part is missing or the base is quantised."""
    parts.need(library.PART, convert.PART)
    refuse_quantised(wanted.model)
    told = wanted.job.settings.get(IMPORTANCE, "auto")
    if told not in ("auto", "yes", "no"):
        raise StudioError("Unknown setting", f"importance can't be {told}.", "Say auto, yes or no.")
    return Gguf(wanted)
