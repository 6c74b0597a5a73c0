"""Published runs of other trainers, and the options by which a person would plan each of them."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any, Literal

import msgspec

from studio.cli import wishes
from studio.core import memory
from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.memory import Estimate
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.core.sizing.architectures import shapes_of

ROWS = Path(__file__).parents[1] / "fixtures" / "memory" / "published.csv"
GB = 10**9

# What the columns don't say about a model: its model_type and what differs from the usual.
_MODELS: dict[str, dict[str, Any]] = {
    "phi-1.5": {"model_type": "phi"},
    "stablelm-base-alpha": {"model_type": "gpt_neox"},
    "falcon": {"model_type": "falcon", "tie_word_embeddings": True},
    "gemma-2b": {"model_type": "gemma", "head_dim": 256},
    "gemma-2-": {"model_type": "gemma2", "head_dim": 256},
    "Mistral": {"model_type": "mistral", "sliding_window": None},
    "Phi-3": {"model_type": "phi3"},
    "Qwen": {"model_type": "qwen2"},
    "SmolLM2": {"model_type": "llama", "tie_word_embeddings": True},
    "Llama-3.2": {"model_type": "llama", "tie_word_embeddings": True},
    "Qwen2.5-1.5B": {"model_type": "qwen2", "tie_word_embeddings": True},
}
_SIZES = {
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "intermediate": "intermediate_size",
    "vocab": "vocab_size",
}
_CAPABILITIES = {"T4": (7, 5), "A10G": (8, 6), "L40S": (8, 9)}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a person takes a row: `attention` is passed on, rows of sources that begin with `chunked`
    have chunked logits though their notes don't say so, `metric` is minded (else every peak is
    compared with what is expected), and `levers` (offloading, early updates) are passed on."""

    attention: bool = True
    chunked: tuple[str, ...] = ("tt",)
    metric: bool = True
    levers: bool = False


USUAL = Reading()


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A row with its measured and its estimated peak, in bytes."""

    id: str
    source: str
    model: str
    measured: int
    expected: int
    upper: int
    parameters: int
    estimate: Estimate
    row: dict[str, str]

    @property
    def error(self) -> float:
        """Estimated over measured, less one."""
        return self.expected / self.measured - 1


def rows() -> list[dict[str, str]]:
    """All rows as they are published."""
    with ROWS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def compared(reading: Reading = USUAL) -> list[Compared]:
    """All rows whose length is known."""
    return [_compared(row, reading) for row in rows() if row["seq_len"]]


def _compared(row: dict[str, str], reading: Reading) -> Compared:
    facts = ModelFacts(path=row["model"], config=_config(row))
    shapes = shapes_of(facts.config)
    found = _estimate(row, facts, reading)
    allocated = found.parts["allocated"]
    measured, context = round(float(row["peak_gb"]) * GB), found.parts["context"]
    least, most = {
        "allocated": (allocated, allocated + found.upper_bytes - found.expected_bytes),
        "reserved": (found.expected_bytes, found.upper_bytes),
        "device": (found.expected_bytes + context, found.upper_bytes + context),
    }[_metric(row["metric"]) if reading.metric else "reserved"]
    return Compared(
        id=row["id"],
        source=row["id"].rsplit("-", 1)[0],
        model=row["model"],
        measured=measured,
        expected=least,
        upper=most,
        parameters=shapes.parameters if shapes else 0,
        estimate=found,
        row=row,
    )


def _metric(text: str) -> Literal["allocated", "reserved", "device"]:
    if "reserved" in text:
        return "reserved"
    return "device" if "GPU memory" in text else "allocated"


def _config(row: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"model_type": "llama", "tie_word_embeddings": False}
    for start, known in _MODELS.items():
        if row["model"].startswith(start):
            found |= known
    if "does not tie" in row["note"]:
        found["tie_word_embeddings"] = False
    return found | {name: int(row[column]) for column, name in _SIZES.items()}


def options(row: dict[str, str], reading: Reading = USUAL) -> list[str]:
    """What a person would ask `finetune-studio estimate` of the row, by its documented options."""
    quantized = row["method"].startswith("QLoRA")
    asked = {
        "--method": "full" if row["method"] == "full" else "qlora" if quantized else "lora",
        "--rank": row["rank"],
        "--targets": "all-linear" if "all linear" in row["targets"] else row["targets"],
        "--seq-len": row["seq_len"],
        "--batch": row["micro_batch"],
        "--checkpointing": "yes" if row["grad_ckpt"] == "true" else "no",
        "--optimizer": "adamw",
        "--dtype": "fp16" if row["dtype"] == "fp16" else "bf16",
        "--attention": _attention(row) if reading.attention else "",
        "--logits": _logits(row, reading),
    }
    words = [word for name, value in asked.items() if value for word in (name, value)]
    return [*words, *_levers(row)] if reading.levers else words


def _levers(row: dict[str, str]) -> list[str]:
    offload = ["--offload"] if "offload" in row["note"] else []
    return [*offload, "--optimizer-in-backward"] if "in_bwd" in row["optimizer"] else offload


def _attention(row: dict[str, str]) -> str:
    if "eager" in row["method"]:
        return "eager"
    return "flash" if "flash" in row["note"] else "sdpa"


def _logits(row: dict[str, str], reading: Reading) -> str:
    noted = "chunked" in row["note"].lower()
    return "chunked" if noted or row["id"].startswith(reading.chunked) else "full"


def _estimate(row: dict[str, str], facts: ModelFacts, reading: Reading) -> Estimate:
    parser = argparse.ArgumentParser()
    wishes.add_settings(parser)
    wanted, problems = wishes.read(parser.parse_args(options(row, reading)))
    assert not problems, problems
    plain = Recipe(model=ModelPart(path=row["model"]), dataset=(DatasetPart(path="rows"),))
    recipe = wanted.applied(plain, shapes_of(facts.config))
    step = msgspec.structs.replace(recipe.training, batch_size=wanted.batch or 1)
    recipe = msgspec.structs.replace(recipe, training=step)
    return memory.estimate(recipe, facts, _machine(row), advise=False, ways=wanted.ways)


def _machine(row: dict[str, str]) -> Machine:
    name = row["gpu"] or "A100"
    size = int(name.rsplit("-", 1)[1].removesuffix("GB")) if "-" in name else 80
    card = Gpu(
        index=0,
        name=name,
        total_bytes=size * GB,
        used_bytes=0,
        free_bytes=size * GB,
        compute_capability=_CAPABILITIES.get(name.split("-")[0], (8, 0)),
    )
    return Machine(gpus=(card,))
