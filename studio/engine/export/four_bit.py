"""Models in NF4: the base with the adapter beside it, or a merged model rounded once more."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from studio.engine import base_choice, merged_files, quantized_base, streaming_merge
from studio.engine.base_choice import Choice
from studio.engine.export import Tick, Wanted, bare_adapter, cards
from studio.engine.export.merged import live_of, refuse_quantised
from studio.engine.load import load_model, never_repack, stored_dtype
from studio.engine.passport import Live
from studio.engine.precision import best_device
from studio.engine.runtimes import Runtime
from studio.engine.runtimes.of_transformers import OfTransformers
from studio.library import adapter_files, adapters
from studio.library.export_sizes import in_nf4
from studio.library.models import weights

ADAPTER = "adapter"
_LOADS = "from transformers import AutoModelForCausalLM, AutoTokenizer"


class BesideAdapter:
    """The base in NF4 as QLoRA trains on it, and the adapter in a folder of its own within."""

    choice: Choice | None = None

    def __init__(self, wanted: Wanted, adapter: Path) -> None:
        adapter_files.check_shapes(adapter, wanted.model)
        self._wanted, self._adapter = wanted, adapter
        held = base_choice.as_trained(wanted.home, wanted.model, adapter)
        self._dtype = held.dtype
        self.precision = str(self._dtype).removeprefix("torch.")
        self.bytes = in_nf4(weights.read(wanted.model)[0]) + adapter_files.size(adapter)
        self.live: Live | None = Live(wanted.model, adapter, self._dtype, held)
        if adapters.facts(adapter).method != "qlora":
            # it learnt on the base in 16 bits: what 4 bits cost it is for its held-out loss to say
            trained = quantized_base.AsStored(wanted.model)
            self.live = replace(self.live, trained=trained, rounded="4-bit base")

    def write(self, folder: Path, tick: Tick) -> None:
        quantize(self._wanted.model, folder, self._dtype)
        tick(0.8)
        model, name = self._wanted.model, self._wanted.name
        merged_files.copy_beside(model, self._adapter, folder)
        inside = folder / ADAPTER
        inside.mkdir()
        bare_adapter.copy(self._adapter, inside, bare_adapter.base_name(model), model)
        usage = [
            "from peft import PeftModel",
            _LOADS,
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{name}")',
            f'model = AutoModelForCausalLM.from_pretrained("{name}", device_map="auto")',
            f'model = PeftModel.from_pretrained(model, "{name}/{ADAPTER}")',
        ]
        what = (
            f"{model.name} in 4 bits (NF4, double quantization) with a LoRA adapter beside it, in "
            f"the folder `{ADAPTER}`. It needs bitsandbytes."
        )
        cards.write(
            folder, name=name, model=model, adapter=self._adapter, what=what, usage=usage,
            library="peft", front=bare_adapter.front(model),
        )  # fmt: skip
        tick(1.0)

    def open(self, folder: Path) -> Runtime:
        model = load_model(folder, self._dtype, device=best_device())
        never_repack(model)
        return bare_adapter.of_peft(model, folder / ADAPTER, folder)


class MergedAgain:
    """A merge, then NF4 over it. What that costs is for the passport to say."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._dtype = stored_dtype(wanted.model)
        self._plan = streaming_merge.plan(wanted.model, wanted.adapter, None)
        self.bytes = self._plan.bytes + in_nf4(weights.read(wanted.model)[0])
        self.precision = "4-bit"
        self.choice: Choice | None = None
        if wanted.adapter:
            adapter_files.check_shapes(wanted.adapter, wanted.model)
            self.choice = base_choice.choose(
                wanted.home, wanted.model, wanted.adapter, wanted.job.onto, wanted.tick
            )
        self.live: Live | None = live_of(wanted, self._dtype, self.choice)

    def write(self, folder: Path, tick: Tick) -> None:
        wanted, name = self._wanted, self._wanted.name
        merged = folder / "merged"
        merged.mkdir()
        held = self.live.held if self.live else None
        streaming_merge.write(self._plan, merged, lambda s: tick(s * 0.5), held)
        merged_files.write(
            wanted.model, wanted.adapter, merged, name=name, dtype=None, said=self._plan.settings
        )
        quantize(merged, folder, self._dtype)
        tick(0.9)
        merged_files.copy_beside(merged, None, folder)
        shutil.rmtree(merged)
        usage = [
            _LOADS,
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{name}")',
            f'model = AutoModelForCausalLM.from_pretrained("{name}", device_map="auto")',
        ]
        merged_in = merged_files.what(wanted.model, wanted.adapter)
        what = f"{merged_in}, in 4 bits (NF4, double quantization). It needs bitsandbytes."
        cards.write(
            folder, name=name, model=wanted.model, adapter=wanted.adapter, what=what, usage=usage
        )
        tick(1.0)

    def open(self, folder: Path) -> Runtime:
        runtime = OfTransformers.of_folder(folder, self._dtype)
        never_repack(runtime.model)
        return runtime


def prepare(wanted: Wanted) -> BesideAdapter | MergedAgain:
    """Raises StudioError where base and adapter don't fit, or the base is quantised already."""
    refuse_quantised(wanted.model)
    if wanted.format.id == "nf4-adapter":
        assert wanted.adapter is not None
        return BesideAdapter(wanted, wanted.adapter)
    return MergedAgain(wanted)


def quantize(model: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write a model's weights in NF4 with double quantization, and a config that says so."""
    loaded: Any = load_model(model, dtype, bits=4, device=best_device())
    loaded.save_pretrained(folder)
