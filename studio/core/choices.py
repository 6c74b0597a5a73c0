"""What the field knows of good choices: ranges and limits, each with its source.

They warn and never forbid: the user may know better.
"""

from __future__ import annotations

import msgspec

from studio.core.recipe import Method


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the field, what it says, and where that stands."""

    says: str
    source: str


USUAL_RATES: dict[Method, tuple[float, float]] = {
    "full": (1e-6, 2e-4),
    "lora": (1e-5, 2e-3),
    "qlora": (1e-5, 2e-3),
}
WILD_RATE = 0.1
MOST_RANK = 256
SCALES = (0.25, 8.0)
TINY = 1_000_000_000
MUCH_DROPOUT = 0.2
LARGE_SET_TOKENS = 10_000_000
LARGE_BATCH = 128

# Compute capabilities
NF4_CAPABILITY = (6, 0)
INT8_CAPABILITY = (7, 5)
BF16_CAPABILITY = (8, 0)

FACTS: dict[str, Fact] = {
    "learning rate": Fact(
        says="LoRA learns best at about ten times the rate of full fine-tuning, whatever the "
        "rank; QLoRA's authors took 1e-4 to 2e-4.",
        source="https://thinkingmachines.ai/blog/lora/ ; https://arxiv.org/abs/2305.14314",
    ),
    "target modules": Fact(
        says="Adapters on all linear layers, those of the MLP above all, match full fine-tuning; "
        "on attention alone they fall behind, also at a higher rank.",
        source="https://thinkingmachines.ai/blog/lora/ ; https://arxiv.org/abs/2305.14314",
    ),
    "rank": Fact(
        says="Quality hardly depends on the rank until a set is too large for the adapter; "
        "published comparisons end at 256 to 512.",
        source="https://arxiv.org/abs/2106.09685 ; https://thinkingmachines.ai/blog/lora/",
    ),
    "alpha": Fact(
        says="An adapter is scaled by alpha over rank; published recipes take a quarter to a few "
        "times the rank.",
        source="https://arxiv.org/abs/2106.09685",
    ),
    "four bits": Fact(
        says="In its paper QLoRA learns as well as adapters on a 16-bit base.",
        source="https://arxiv.org/abs/2305.14314",
    ),
    "quantized tiny model": Fact(
        says="Only the linear layers are held in 4 bits; of a small model the embeddings, in 16, "
        "are a large share.",
        source="https://arxiv.org/abs/2305.14314",
    ),
    "batch": Fact(
        says="LoRA loses more than full fine-tuning does where batches are very large.",
        source="https://thinkingmachines.ai/blog/lora/",
    ),
    "large set": Fact(
        says="Where a set holds more than an adapter can, full fine-tuning gets further.",
        source="https://thinkingmachines.ai/blog/lora/",
    ),
    "bf16": Fact(
        says="bfloat16 has units of its own from compute capability 8.0 (Ampere) on.",
        source="https://docs.nvidia.com/cuda/cuda-c-programming-guide/#arithmetic-instructions",
    ),
    "quantized base": Fact(
        says="NF4 needs compute capability 6.0, LLM.int8() 7.5.",
        source="https://huggingface.co/docs/bitsandbytes/main/en/installation",
    ),
    "paged optimizer": Fact(
        says="Paging moves optimizer states between a card and system memory when the card is "
        "short of it; the states are two bytes or eight for each value that learns.",
        source="https://huggingface.co/docs/bitsandbytes/main/en/explanations/optimizers",
    ),
    "dropout": Fact(
        says="QLoRA's authors took a dropout of 0.1 up to 13 B parameters and 0.05 beyond.",
        source="https://arxiv.org/abs/2305.14314",
    ),
    "epochs": Fact(
        says="In InstructGPT's fine-tuning the held-out loss rose after the first pass already.",
        source="https://arxiv.org/abs/2203.02155",
    ),
    "few rows": Fact(
        says="A thousand well-chosen examples changed how a 65 B model answers.",
        source="https://arxiv.org/abs/2305.11206",
    ),
}
