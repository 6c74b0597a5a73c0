"""What a recipe's settings come to on a machine: bytes for each value, rows and tokens at once."""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core.facts import Machine
from studio.core.lengths import CPU_MICRO_BATCH_TOKENS, MICRO_BATCH_TOKENS
from studio.core.recipe import Method, Optimizer, Recipe

Attention = Literal["sdpa", "flash", "eager", "rows"]
Logits = Literal["chunked", "full"]
Quantized = Literal["", "nf4", "int8"]


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """How the computation goes where a recipe doesn't say; "auto" is what the studio does."""

    attention: Literal["auto", "sdpa", "flash", "eager"] = "auto"
    logits: Literal["auto", "chunked", "full"] = "auto"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run's settings, all decided.

    `weight_bytes` is that of a weight which isn't quantized, `compute_bytes` that of a value in
    matrix products and in the residual stream, `adapter_bytes` that of an adapter's weight.
    `autocast`: weights that learn are fp32 and are cast for each product. A micro-batch has
    `rows` rows of `length` tokens each, padding included; `learnt` of them are trained on (0: all)
    and steps of several micro-batches are `accumulating`. Attention by "rows" is this studio's own
    on a processor; `peft` has an adapter computed by peft's layers instead of the studio's.
    """

    method: Method
    on_gpu: bool = True
    compute_bytes: int = 2
    weight_bytes: int = 2
    adapter_bytes: int = 4
    quantized: Quantized = ""
    double_quantization: bool = True
    autocast: bool = True
    rows: int = 1
    length: int = 512
    packed: bool = False
    attention: Attention = "sdpa"
    logits: Logits = "chunked"
    checkpointing: bool = False
    optimizer: Optimizer = "adamw"
    rank: int = 16
    dropout: float = 0.0
    targets: str | tuple[str, ...] = "all-linear"
    learnt: int = 0
    accumulating: bool = False
    peft: bool = False
    upcast: bool = False
    loss_bytes: int = 4
    copies: bool = False

    @property
    def stream_bytes(self) -> int:
        """Bytes of a value in the residual stream: that of the weights it comes from, or fp32."""
        return 4 if self.upcast else self.weight_bytes

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch, padding included."""
        return self.rows * self.length

    @property
    def full(self) -> bool:
        """Whether all weights learn."""
        return self.method == "full"


def plan_of(
    recipe: Recipe,
    machine: Machine | None,
    longest: int = 0,
    checkpointing: bool = False,
    ways: Ways = Ways(),
    card: int | None = None,
) -> Plan:
    """What the automatic settings come to on this machine; `longest` is the longest row's tokens.

    Full fine-tuning keeps fp32 weights and computes in 16 bits (autocast), unless the recipe asks
    for a 16-bit base; an adapter's base is held in the type it computes in.

    Logits that are asked for stand for another trainer than this studio: peft's own layers, 4-bit
    scales that aren't quantized once more, and QLoRA's norms and residual stream in fp32; in
    float16 embeddings and lm_head too (peft, prepare_model_for_kbit_training). Where it goes with
    flash attention, which takes values of 16 bits alone, all of it is in 16 bits, the loss
    included (Qwen's finetune.py with DeepSpeed's fp16). To them a dtype of bfloat16 is
    also that of weights that learn (torchtune, litgpt's bf16-true, transformers' dtype); where
    these are fp32 they keep weights and gradients in 16 bits beside (ZeRO, arXiv 1910.02054).
    """
    on_gpu = machine is None or bool(machine.gpus)
    half = _computes_in_half(recipe, machine, on_gpu)
    usual: Attention = "sdpa" if on_gpu else "rows"
    attention = usual if ways.attention == "auto" else ways.attention
    logits = "chunked" if ways.logits == "auto" else ways.logits
    stock = ways.logits != "auto"
    pure = _pure(recipe, stock)
    upcast = stock and recipe.method == "qlora" and attention != "flash"
    wide = upcast and recipe.training.dtype == "float16"
    rows, length = _batch(recipe, longest, on_gpu)
    return Plan(
        method=recipe.method,
        on_gpu=on_gpu,
        compute_bytes=2 if half else 4,
        weight_bytes=4 if wide else _weight_bytes(recipe, half, pure),
        upcast=upcast,
        copies=stock and recipe.method == "full" and half and not pure,
        loss_bytes=2 if stock and recipe.method == "qlora" and not upcast else 4,
        quantized=_quantized(recipe),
        double_quantization=not stock,
        autocast=half and not pure and not upcast,
        rows=rows,
        length=length,
        packed=recipe.data.packing == "yes",
        attention=attention,
        logits=logits,
        checkpointing=checkpointing,
        optimizer=recipe.training.optimizer,
        rank=recipe.lora.rank,
        dropout=recipe.lora.dropout,
        targets=recipe.lora.target_modules,
        accumulating=recipe.training.batch_size > rows,
        peft=stock,
    )


def does_bf16(machine: Machine | None, card: int = 0) -> bool:
    """Whether bf16 is the machine's natural type: Ampere and newer, or a CPU with instructions."""
    if machine is None:
        return True
    if machine.gpus:
        return (machine.gpus[card].compute_capability or (0, 0)) >= (8, 0)
    return machine.bf16_cpu


def _pure(recipe: Recipe, stock: bool) -> bool:
    """Whether all weights learn in bfloat16; to other trainers that type is the weights'."""
    training = recipe.training
    asked = training.base_precision == "16" and training.dtype != "float16"
    meant = stock and training.base_precision == "auto" and training.dtype == "bfloat16"
    return recipe.method == "full" and (asked or meant)


def _weight_bytes(recipe: Recipe, half: bool, pure: bool) -> int:
    if recipe.method == "full":
        return 2 if pure else 4
    return 2 if half and recipe.training.base_precision != "32" else 4


def _quantized(recipe: Recipe) -> Quantized:
    if recipe.method == "qlora":
        return "nf4"
    return "int8" if recipe.method == "lora" and recipe.training.base_precision == "8" else ""


def _computes_in_half(recipe: Recipe, machine: Machine | None, on_gpu: bool) -> bool:
    if recipe.training.dtype == "auto":
        return on_gpu or does_bf16(machine)
    return recipe.training.dtype != "float32" and (on_gpu or recipe.training.dtype == "bfloat16")


def _batch(recipe: Recipe, longest: int, on_gpu: bool) -> tuple[int, int]:
    """Rows and tokens a row of the largest micro-batch."""
    length = min(recipe.data.max_length, longest or recipe.data.max_length)
    asked, batch = recipe.training.micro_batch_size, recipe.training.batch_size
    room = MICRO_BATCH_TOKENS if on_gpu else CPU_MICRO_BATCH_TOKENS
    return asked or max(1, min(room // length, batch)), length
