"""What a recipe's settings come to on a machine: bytes for each value, rows and tokens at once."""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core.facts import Machine
from studio.core.lengths import CPU_MICRO_BATCH_TOKENS, MICRO_BATCH_TOKENS
from studio.core.recipe import Method, Optimizer, Recipe
from studio.core.sizing.offloading import LEAST

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
    on a processor; `peft` has an adapter computed by peft's layers instead of the studio's, `zero`
    is DeepSpeed's ZeRO. Activations of `offload` bytes and more are kept in system memory (0: none
    are); with `immediate` each weight is updated as soon as its gradient is there.
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
    zero: bool = False
    offload: int = 0
    immediate: bool = False

    @property
    def stream_bytes(self) -> int:
        """Bytes of a value in the residual stream: that of the weights it comes from, or fp32."""
        return 4 if self.upcast else self.weight_bytes

    @property
    def remakes(self) -> bool:
        """Whether norms and gated layers are this studio's own, on a processor."""
        return not self.on_gpu and not self.peft

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
) -> Plan:
    """What the automatic settings come to on this machine; `longest` is the longest row's tokens.

    Full fine-tuning keeps fp32 weights and computes in 16 bits (autocast), unless the recipe asks
    for a 16-bit base; an adapter's base is held in the type it computes in.
    """
    on_gpu = machine is None or bool(machine.gpus)
    half = _computes_in_half(recipe, machine, on_gpu)
    pure = _pure(recipe)
    usual: Attention = "sdpa" if on_gpu else "rows"
    rows, length = _batch(recipe, longest, on_gpu)
    plan = Plan(
        method=recipe.method,
        on_gpu=on_gpu,
        compute_bytes=2 if half else 4,
        weight_bytes=_weight_bytes(recipe, half, pure),
        quantized=_quantized(recipe),
        autocast=half and not pure,
        rows=rows,
        length=length,
        packed=recipe.data.packing == "yes",
        attention=usual if ways.attention == "auto" else ways.attention,
        logits="chunked" if ways.logits == "auto" else ways.logits,
        checkpointing=checkpointing,
        optimizer=recipe.training.optimizer,
        rank=recipe.lora.rank,
        dropout=recipe.lora.dropout,
        targets=recipe.lora.target_modules,
        accumulating=recipe.training.batch_size > rows,
        offload=LEAST if recipe.training.offload_activations and on_gpu else 0,
        immediate=updates_early(recipe) and rows == recipe.training.batch_size,
    )
    return plan if ways.logits == "auto" else _elsewhere(plan, recipe)


def _elsewhere(plan: Plan, recipe: Recipe) -> Plan:
    """The same in another trainer than this studio, which is what logits that are asked for mean.

    There peft's own layers compute, 4-bit scales aren't quantized once more, and QLoRA's norms
    and residual stream are fp32; in float16 embeddings and lm_head too (peft,
    prepare_model_for_kbit_training). Where it goes with flash attention, which takes values of 16
    bits alone, all of it is in 16 bits, the loss included (Qwen's finetune.py with DeepSpeed's
    fp16), and weights that learn are fp32 with copies in 16 bits and gradients in 16 bits beside
    them (ZeRO, arXiv 1910.02054). Elsewhere a dtype of bfloat16 is that of weights that learn as
    well (torchtune, litgpt's bf16-true, transformers' dtype); trainers that make logits in chunks
    hold adapters in it too (torchtune, litgpt).
    """
    plan = msgspec.structs.replace(plan, peft=True, double_quantization=False)
    training = recipe.training
    flash, bf16 = plan.attention == "flash", training.dtype == "bfloat16"
    if bf16 and plan.logits == "chunked":
        plan = msgspec.structs.replace(plan, adapter_bytes=2)
    plan = msgspec.structs.replace(plan, zero=flash and (plan.full or plan.quantized == "nf4"))
    if plan.full and bf16 and training.base_precision == "auto" and not flash:
        return msgspec.structs.replace(plan, weight_bytes=2, autocast=False)
    if plan.full:
        return msgspec.structs.replace(plan, copies=plan.compute_bytes < plan.weight_bytes)
    if plan.quantized != "nf4":
        return plan
    if flash:
        return msgspec.structs.replace(plan, loss_bytes=2)
    wide = 4 if training.dtype == "float16" else plan.weight_bytes
    return msgspec.structs.replace(plan, upcast=True, autocast=False, weight_bytes=wide)


def rows_at_once(recipe: Recipe) -> int:
    """Rows of a micro-batch as asked for, 0 automatic; updates in the backward pass ask for the
    whole batch."""
    training = recipe.training
    return training.micro_batch_size or (training.batch_size if updates_early(recipe) else 0)


def updates_early(recipe: Recipe) -> bool:
    """Whether weights are updated in the backward pass: as asked, where that changes nothing. A
    norm to clip by is known when all gradients are there, and so is what float16 overflows."""
    training = recipe.training
    plain = not training.max_grad_norm and training.dtype != "float16"
    in_one_go = training.micro_batch_size in (0, training.batch_size)
    return training.optimizer_in_backward and recipe.method == "full" and plain and in_one_go


def _pure(recipe: Recipe) -> bool:
    """Whether all weights learn in bfloat16."""
    asked = recipe.training.base_precision == "16" and recipe.training.dtype != "float16"
    return recipe.method == "full" and asked


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
        return on_gpu or machine is None or machine.bf16_cpu
    return recipe.training.dtype != "float32" and (on_gpu or recipe.training.dtype == "bfloat16")


def _batch(recipe: Recipe, longest: int, on_gpu: bool) -> tuple[int, int]:
    """Rows and tokens a row of the largest micro-batch."""
    length = min(recipe.data.max_length, longest or recipe.data.max_length)
    asked, batch = rows_at_once(recipe), recipe.training.batch_size
    room = MICRO_BATCH_TOKENS if on_gpu else CPU_MICRO_BATCH_TOKENS
    return asked or max(1, min(room // length, batch)), length
