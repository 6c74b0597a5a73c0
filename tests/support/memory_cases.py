"""The configurations whose memory is measured: methods, architectures, ways of computing."""

from __future__ import annotations

from typing import Any

from tests.support.measured_memory import Case

LIKE_LLAMA = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "phi", "phi3")
OTHERS = ("gemma2", "mixtral", "qwen2_moe", "qwen3_moe", "gpt_neox", "gpt2")
KINDS = LIKE_LLAMA + OTHERS

_PAIRS = {
    "gpt2": ("c_attn",),
    "gpt_neox": ("query_key_value",),
    "phi3": ("qkv_proj",),
}
# Every kind in these ways; Gemma 2 caps its scores, which plain attention alone can.
_WAYS: tuple[dict[str, Any], ...] = (
    {"method": "full", "dtype": "float32", "rows": 2},
    {"method": "full", "checkpointing": "yes", "attention": "sdpa"},
    {"method": "lora", "rows": 1, "length": 512, "loss": "full"},
    {"method": "lora", "attention": "eager", "rows": 8, "length": 128, "targets": "few"},
    {"method": "qlora", "rows": 2, "length": 512, "checkpointing": "yes"},
)
_WIDE = {"vocab_size": 32000}
_DROPS = {"attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1}
_SINGLE: tuple[Case, ...] = (
    Case("llama", "full", changes=_WIDE, attention="sdpa"),
    Case("qwen2", "full", changes=_WIDE, attention="sdpa", loss="full"),
    Case("llama", changes=_WIDE),
    Case("llama", changes=_WIDE, learnt=0.25),
    Case("llama", changes=_WIDE, loss="full", checkpointing="yes"),
    Case("phi", changes=_WIDE),
    Case("llama", dtype="float32", dropout=0.1),
    Case("qwen3", "qlora", dropout=0.05),
    Case("llama", packing="yes", rows=6, length=128),
    Case("llama", packing="yes", attention="sdpa"),
    Case("llama", steps=2),
    Case("qwen2", "full", steps=2, attention="sdpa"),
    Case("llama", "full", base="16"),
    Case("llama", base="32", attention="sdpa"),
    Case("llama", "full", optimizer="adamw_8bit", attention="sdpa"),
    Case("llama", "full", optimizer="adafactor", attention="sdpa"),
    Case("llama", optimizer="adamw_8bit"),
    Case("gpt2", "full", changes=_DROPS),
    Case("llama", stock=True, attention="sdpa", loss="stock"),
    Case("llama", stock=True, attention="sdpa", loss="stock", checkpointing="yes"),
    Case("qwen3", stock=True, attention="sdpa", dropout=0.05),
    Case("llama", "qlora", stock=True, attention="sdpa", loss="stock"),
    Case("llama", offload=4096),
    Case("llama", offload=4096, checkpointing="yes"),
    Case("llama", "qlora", offload=4096, checkpointing="yes", attention="sdpa", length=512),
    Case("qwen3", offload=4096, attention="eager", changes=_WIDE),
    Case("gemma3_text", "full", offload=4096, attention="sdpa"),
    Case("phi", "full", offload=4096, checkpointing="yes", dtype="float32"),
    Case("gpt2", "full", offload=100_000, attention="sdpa"),
    Case("llama", "full", early=True, dtype="float32", rows=2),
    Case("qwen2", "full", early=True, rows=1, length=128, checkpointing="yes", changes=_WIDE),
    Case("gemma", "full", early=True, base="16", rows=1, length=128),
    Case("phi3", "full", early=True, optimizer="adafactor", rows=1, length=128),
    Case("gpt_neox", "full", early=True, optimizer="adamw_8bit", rows=1, length=128),
    Case("mistral", "qlora", stock=True, attention="eager", dropout=0.1, dtype="float32"),
)


def usual() -> tuple[Case, ...]:
    """What the tests measure each time."""
    return tuple(_of(kind, way) for kind in KINDS for way in _WAYS) + _SINGLE


def wide() -> tuple[Case, ...]:
    """The wider sweep: every kind by method, width, batch, checkpointing, loss and attention."""
    found = []
    for kind in KINDS:
        for method in ("full", "lora", "qlora"):
            for rows, length in ((1, 1024), (4, 128), (8, 256)):
                for checkpointing in ("no", "yes"):
                    for attention in ("sdpa", "eager"):
                        way = {"method": method, "rows": rows, "length": length}
                        way |= {"checkpointing": checkpointing, "attention": attention}
                        way["loss"] = "full" if (rows, attention) == (4, "sdpa") else ""
                        way["dtype"] = "float32" if rows == 4 and method != "qlora" else "bfloat16"
                        found.append(_of(kind, way))
    return tuple(found)


def _of(kind: str, way: dict[str, Any]) -> Case:
    chosen = dict(way)
    if chosen.get("targets") == "few":
        chosen["targets"] = _PAIRS.get(kind, ("q_proj", "v_proj"))
    if kind == "gemma2":
        chosen |= {"attention": "eager", "loss": "full"}
    return Case(kind, **chosen)
