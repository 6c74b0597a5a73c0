"""Base and adapter as one model folder in safetensors, or a model in another number format."""

from __future__ import annotations

from pathlib import Path

import torch

from studio.core.errors import StudioError
from studio.engine import base_choice, merged_files, streaming_merge
from studio.engine.base_choice import Choice
from studio.engine.export import Tick, Wanted
from studio.engine.load import stored_dtype
from studio.engine.passport import Live
from studio.engine.precision import NAMES
from studio.engine.runtimes import Runtime
from studio.engine.runtimes.of_transformers import OfTransformers
from studio.library import adapter_files
from studio.library.models import config_of


class Merged:
    """A merge that is planned: streamed from safetensors to safetensors."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        model, adapter = wanted.model, wanted.adapter
        self._dtype = _dtype(wanted.job.dtype)
        if adapter:
            adapter_files.check_shapes(adapter, model)
        self._plan = streaming_merge.plan(model, adapter, self._dtype)
        self.bytes = self._plan.bytes
        self.choice: Choice | None = None
        if adapter:
            self.choice = base_choice.choose(
                wanted.home, model, adapter, wanted.job.onto, wanted.tick
            )
        dtype = self._dtype or stored_dtype(model)
        self.precision = str(dtype).removeprefix("torch.")
        self.live: Live | None = live_of(wanted, dtype, self.choice)

    def write(self, folder: Path, tick: Tick) -> None:
        held = self.live.held if self.live else None
        streaming_merge.write(self._plan, folder, tick, held)
        merged_files.write(
            self._wanted.model, self._wanted.adapter, folder, name=self._wanted.name,
            dtype=self._dtype, said=self._plan.settings,
        )  # fmt: skip

    def open(self, folder: Path) -> Runtime:
        return OfTransformers.of_folder(folder, stored_dtype(folder))


def prepare(wanted: Wanted) -> Merged:
    """A merge that fits. StudioError where base and adapter don't, or the base is quantised."""
    refuse_quantised(wanted.model)
    return Merged(wanted)


def live_of(wanted: Wanted, dtype: torch.dtype, choice: Choice | None) -> Live:
    """What a merged model of this number format is judged by: its own base with the adapter beside
    it, and for QLoRA the 4-bit base that the adapter was trained on."""
    trained = None
    if choice and wanted.adapter:
        trained = base_choice.as_trained(wanted.home, wanted.model, wanted.adapter)
    held = trained if choice and choice.base == "trained" else None
    return Live(wanted.model, wanted.adapter, dtype, held, None if held else trained)


def refuse_quantised(base: Path) -> None:
    """Raise StudioError for a base whose weights are quantised.

    Rounding base + adapter back to 4 bits rounds the training away: a probe's loss of 1.63 became
    3.07, the bare base having 3.10.
    """
    if config_of(base).get("quantization_config"):
        raise StudioError(
            "Quantised base",
            f"{base.name} holds quantised weights; adding an adapter to them and rounding again "
            "would round the training away.",
            "Merge into the 16-bit model that it was made from.",
        )


def _dtype(name: str) -> torch.dtype | None:
    if name == "auto":
        return None
    if name in NAMES:
        return NAMES[name]
    raise StudioError(
        "Unknown number format",
        f"There is no number format {name}.",
        f"Use auto, {', '.join(NAMES)}.",
    )
