"""Published runs of other trainers, and the options by which a person would plan each of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal

import msgspec

from studio.core import memory
from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.memory import Estimate, Ways
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    Dtype,
    LoraPart,
    ModelPart,
    Recipe,
    TrainingPart,
)
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
_TARGETS = {
    "q": ("q_proj", "query_key_value", "qkv_proj"),
    "k": ("k_proj",),
    "v": ("v_proj",),
    "o": ("o_proj", "dense"),
    "gate": ("gate_proj",),
    "up": ("up_proj",),
    "down": ("down_proj",),
    "mlp": ("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2"),
    "lm_head": ("lm_head",),
}
_CAPABILITIES = {"T4": (7, 5), "A10G": (8, 6), "L40S": (8, 9)}


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


def compared() -> list[Compared]:
    """All rows whose length is known."""
    return [_compared(row) for row in rows() if row["seq_len"]]


def _compared(row: dict[str, str]) -> Compared:
    facts = ModelFacts(path=row["model"], config=_config(row))
    shapes = shapes_of(facts.config)
    found = memory.estimate(_recipe(row), facts, _machine(row), advise=False, ways=_ways(row))
    allocated = found.parts["allocated"]
    measured, context = round(float(row["peak_gb"]) * GB), found.parts["context"]
    least, most = {
        "allocated": (allocated, allocated + found.upper_bytes - found.expected_bytes),
        "reserved": (found.expected_bytes, found.upper_bytes),
        "device": (found.expected_bytes + context, found.upper_bytes + context),
    }[_metric(row["metric"])]
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


def _recipe(row: dict[str, str]) -> Recipe:
    full, quantized = row["method"] == "full", row["method"].startswith("QLoRA")
    batch = int(row["micro_batch"])
    dtype: Dtype = "float16" if row["dtype"] == "fp16" else "bfloat16"
    mixed = full and row["source"].startswith("QwenLM")  # the Trainer's --bf16 is mixed precision
    return Recipe(
        model=ModelPart(path=row["model"]),
        dataset=(DatasetPart(path="rows"),),
        method="full" if full else "qlora" if quantized else "lora",
        lora=LoraPart(rank=int(row["rank"] or 16), target_modules=_targets(row["targets"])),
        data=DataPart(max_length=int(row["seq_len"])),
        training=TrainingPart(
            batch_size=batch,
            micro_batch_size=batch,
            gradient_checkpointing="yes" if row["grad_ckpt"] == "true" else "no",
            dtype=dtype,
            base_precision="32" if mixed else "auto",
        ),
    )


def _targets(text: str) -> str | tuple[str, ...]:
    if not text or "all linear" in text:
        return "all-linear"
    return tuple(name for short in text.split(",") for name in _TARGETS[short])


def _ways(row: dict[str, str]) -> Ways:
    attention: Literal["sdpa", "flash", "eager"] = "sdpa"
    if "eager" in row["method"]:
        attention = "eager"
    elif "flash" in row["note"]:
        attention = "flash"
    chunked = "chunked" in row["note"].lower() or row["source"].startswith("torchtune")
    return Ways(attention=attention, logits="chunked" if chunked else "full")


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
