"""ONNX through onnxruntime-genai's own builder, int4 first, for the processor."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import torch

from studio.core.errors import StudioError
from studio.engine import base_choice, children, merged_files, streaming_merge
from studio.engine.base_choice import Choice
from studio.engine.export import Tick, Wanted, cards
from studio.engine.export.merged import live_of, refuse_quantised
from studio.engine.passport import Live
from studio.engine.runtimes import Runtime
from studio.engine.runtimes.of_onnx import OfOnnx
from studio.library import adapter_files
from studio.library.files import write_whole
from studio.library.models import config_of, weights

CONFIG = "genai_config.json"
MERGED, CACHE = "merged", "cache"
MERGE, READ = 0.2, 0.6
"""Where on the bar the merge ends; and of the builder's work, reading the layers: rounding and
writing follow, of which it tells nothing."""
_LAYER = re.compile(r"Reading layer (\d+)")


class Onnx:
    """A merge, then the builder over it in a process of its own, which can be ended."""

    def __init__(self, wanted: Wanted) -> None:
        assert wanted.quantization is not None
        self._wanted, self._kind = wanted, wanted.quantization
        if wanted.adapter:
            adapter_files.check_shapes(wanted.adapter, wanted.model)
        self._plan = streaming_merge.plan(wanted.model, wanted.adapter, None)
        numbers = weights.count(weights.read(wanted.model)[0])
        self.bytes = self._plan.bytes + int(numbers * self._kind.bits / 8)
        self.precision = self._kind.precision
        self.choice: Choice | None = None
        if wanted.adapter:
            self.choice = base_choice.choose(
                wanted.home, wanted.model, wanted.adapter, wanted.job.onto, wanted.tick
            )
        # the runtime computes in 32 bits on a processor, so the live model does
        self.live: Live | None = live_of(wanted, torch.float32, self.choice)

    def write(self, folder: Path, tick: Tick) -> None:
        wanted = self._wanted
        merged, cache = folder / MERGED, folder / CACHE
        merged.mkdir()
        held = self.live.held if self.live else None
        streaming_merge.write(self._plan, merged, lambda s: tick(s * MERGE), held)
        merged_files.write(
            wanted.model, wanted.adapter, merged, name=wanted.name, dtype=None,
            said=self._plan.settings,
        )  # fmt: skip
        _build(merged, folder, cache, self._kind.id, lambda s: tick(MERGE + s * (1 - MERGE)))
        _name_ends(merged, folder)
        shutil.rmtree(merged)
        shutil.rmtree(cache, ignore_errors=True)
        what = merged_files.what(wanted.model, wanted.adapter)
        cards.write(
            folder, name=wanted.name, model=wanted.model, adapter=wanted.adapter,
            what=f"{what}, as ONNX ({self._kind.id}) for onnxruntime-genai.",
            usage=_usage(wanted.name), library="onnxruntime-genai",
        )  # fmt: skip
        tick(1.0)

    def open(self, folder: Path) -> Runtime:
        return OfOnnx(folder)


def prepare(wanted: Wanted) -> Onnx:
    """Raises StudioError where base and adapter don't fit, or the base is quantised already."""
    refuse_quantised(wanted.model)
    return Onnx(wanted)


def _build(model: Path, folder: Path, cache: Path, kind: str, tick: Tick) -> None:
    """Run the builder; `tick` is called meanwhile and may raise, which ends it."""
    layers, share = int(config_of(model).get("num_hidden_layers") or 1), 0.0

    def hear(line: str) -> None:
        nonlocal share
        if found := _LAYER.search(line):
            share = READ * (int(found[1]) + 1) / layers
        elif "Reading LM head" in line:
            share = READ

    words: list[str | Path] = ["-m", "onnxruntime_genai.models.builder", "-i", model, "-o", folder]
    words += ["-p", kind, "-e", "cpu", "-c", cache]
    status, said = children.run(children.python(*words), hear, lambda: tick(share))
    if status or not (folder / CONFIG).is_file():
        raise StudioError(
            "Not as ONNX",
            "onnxruntime-genai's builder couldn't convert this model"
            f"{f' ({said[-1].strip()})' if said else ''}.",
            "Choose another format; the builder knows the more common architectures only.",
        )


def _name_ends(merged: Path, folder: Path) -> None:
    """The runtime ends answers at what the merged model's generation settings name."""
    settings = merged / "generation_config.json"
    named = json.loads(settings.read_text("utf-8")).get("eos_token_id") if settings.is_file() else 0
    if named:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        config["model"]["eos_token_id"] = named
        write_whole(folder / CONFIG, json.dumps(config, indent=4) + "\n")


def _usage(name: str) -> list[str]:
    return [
        "import onnxruntime_genai as og",
        "",
        f'model = og.Model("{name}")',
        "tokenizer = og.Tokenizer(model)",
        'messages = \'[{"role": "user", "content": "Hello"}]\'',
        "prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)",
        "generator = og.Generator(model, og.GeneratorParams(model))",
        "generator.append_tokens(tokenizer.encode(prompt))",
        "while not generator.is_done():",
        "    generator.generate_next_token()",
        "print(tokenizer.decode(generator.get_sequence(0)))",
    ]
