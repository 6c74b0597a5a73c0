"""The settings of an estimate, in the spellings that people use; all that make no sense at once."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from studio.core.cards import machine_with, of_size
from studio.core.facts import Machine
from studio.core.memory import Ways
from studio.core.problem import Problem
from studio.core.recipe import Method, Recipe
from studio.core.sizing.shapes import Shapes
from studio.core.target_names import modules

METHODS: dict[Method, str] = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
_MOST_GB = 100_000.0
_MIXED = "bf16_mixed"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; None and "" leave the recipe's own. `machine` is a planned one."""

    method: str | None = None
    rank: int | None = None
    targets: str = ""
    length: int | None = None
    batch: int | None = None
    checkpointing: str | None = None
    offload: bool | None = None
    optimizer: str | None = None
    early: bool | None = None
    dtype: str | None = None
    precision: str | None = None
    ways: Ways = Ways()
    machine: Machine | None = None

    def applied(self, recipe: Recipe, shapes: Shapes | None) -> Recipe:
        """The recipe with these settings. Raises StudioError for layers that the model hasn't.

        `batch` rows are at once in memory, each filled up to the length: so many make a
        micro-batch, and a step of the optimizer no fewer. Full fine-tuning in bf16 holds its
        weights in bf16 too, unless it is called mixed. Updates in the backward pass take clipping
        away.
        """
        training, method = recipe.training, self.method or recipe.method
        zero = self.ways.logits != "auto" and self.ways.attention == "flash"
        pure = method == "full" and self.dtype == "bfloat16" and not zero
        precision = self.precision or ("16" if pure else None)
        batch = max(self.batch, training.batch_size) if self.batch else None
        targets = modules(self.targets, shapes) if self.targets else None
        return msgspec.structs.replace(
            recipe,
            method=method,
            lora=_changed(recipe.lora, rank=self.rank, target_modules=targets),
            data=_changed(recipe.data, max_length=self.length),
            training=_changed(
                training,
                micro_batch_size=self.batch,
                batch_size=batch,
                gradient_checkpointing=self.checkpointing,
                offload_activations=self.offload,
                optimizer=self.optimizer,
                optimizer_in_backward=self.early,
                max_grad_norm=0.0 if self.early else None,
                dtype="bfloat16" if self.dtype == _MIXED else self.dtype,
                base_precision=precision,
            ),
        )


class _Choice(NamedTuple):
    """One of several words, and how else people spell them."""

    option: str
    means: Mapping[str, str]
    help: str

    def read(self, text: str) -> str:
        """The recipe's word. Raises ValueError with what may be chosen."""
        found = self.means.get(text.strip().lower().replace("-", "_").removeprefix("torch."))
        if found is None:
            raise ValueError(f"Choose from {', '.join(dict.fromkeys(self.means.values()))}.")
        return found


def _spelt(**words: str) -> dict[str, str]:
    """Each of the words for a value, the value itself among them, to the value."""
    return {word: value for value, many in words.items() for word in (value, *many.split())}


_CHOICES = {
    "method": _Choice(
        "--method", _spelt(full="full_ft fft full_finetuning", lora="", qlora="qlora_nf4"), "M"
    ),
    "checkpointing": _Choice(
        "--checkpointing",
        _spelt(yes="true on 1 y", no="false off 0 n none", auto=""),
        "whether activations are recomputed",
    ),
    "optimizer": _Choice(
        "--optimizer",
        _spelt(
            adamw="adam adamw_torch adamw_torch_fused adamw_hf adamw_32bit",
            adamw_8bit="adamw8bit adam8bit adam_8bit adamw_bnb_8bit",
            paged_adamw="paged_adamw_32bit pagedadamw pagedadamw32bit",
            paged_adamw_8bit="pagedadamw8bit paged_adamw8bit",
            adafactor="",
        ),
        "adamw, adamw_8bit, paged_adamw, paged_adamw_8bit or adafactor",
    ),
    "dtype": _Choice(
        "--dtype",
        _spelt(
            auto="",
            bfloat16="bf16 bf16_true bf16true",
            bf16_mixed="bfloat16_mixed mixed",
            float16="fp16 half fp16_mixed",
            float32="fp32 float",
        ),
        "the type that is computed in: bf16, fp16, fp32; with full, bf16 holds the weights in bf16 "
        "too, and bf16-mixed in fp32",
    ),
    "precision": _Choice(
        "--base-precision",
        {word: word for word in ("auto", "16", "32", "8")},
        "bits of the base's weights: 16, 32 or 8",
    ),
    "attention": _Choice(
        "--attention",
        _spelt(auto="", sdpa="", eager="", flash="flash2 flash_attn flash_attention_2 fa2"),
        "how attention is computed: sdpa, flash, eager",
    ),
    "logits": _Choice(
        "--logits",
        _spelt(auto="", full="stock", chunked="fused"),
        "how another trainer makes logits: full, all at once, or chunked; by itself as the studio",
    ),
}  # fmt: skip
_WHOLE = {
    "rank": ("--rank", 1 << 16),
    "length": ("--seq-len", 1 << 24),
    "batch": ("--batch", 1 << 20),
}


_PLAIN = ("targets", "offload", "early")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options of a recipe's settings and of the card; read by `read`."""
    group = parser.add_argument_group("settings, in place of the recipe's")
    group.add_argument("--method", metavar="M", help="full, lora or qlora")
    group.add_argument("--rank", metavar="R", help="the adapter's rank")
    group.add_argument(
        "--targets",
        metavar="NAMES",
        default="",
        help="layers with an adapter: all-linear, or q,k,v,o,gate,up,down,mlp,lm_head, or their "
        "own names",
    )
    group.add_argument(
        "--seq-len", "--max-length", dest="length", metavar="S", help="tokens of the longest row"
    )
    group.add_argument(
        "--batch", metavar="B", help="rows at once in memory, each filled up to --seq-len"
    )
    for name in ("checkpointing", "optimizer", "dtype", "precision", "attention", "logits"):
        choice = _CHOICES[name]
        word = name[0].upper() if name != "checkpointing" else "yes|no"
        group.add_argument(choice.option, dest=name, metavar=word, help=choice.help)
    group.add_argument(
        "--offload",
        action=argparse.BooleanOptionalAction,
        help="activations are kept in system memory",
    )
    group.add_argument(
        "--optimizer-in-backward",
        dest="early",
        action=argparse.BooleanOptionalAction,
        help="with full: weights are updated as their gradients come, without clipping",
    )
    add_card(parser)


def add_card(parser: argparse.ArgumentParser) -> None:
    """The options of a card that one may not have."""
    parser.add_argument("--gpu-gb", metavar="N", help="plan for a card with N GB")
    parser.add_argument("--card", metavar="NAME", help="plan for a card that is known by name")


def read(options: argparse.Namespace) -> tuple[Wishes, list[Problem]]:
    """What the options ask for, and everything about them that makes no sense."""
    problems: list[Problem] = []
    values: dict[str, Any] = {name: getattr(options, name) for name in _PLAIN}
    for name, (option, most) in _WHOLE.items():
        values[name] = _read(option, getattr(options, name), _whole(most), problems)
    for name, choice in _CHOICES.items():
        values[name] = _read(choice.option, getattr(options, name), choice.read, problems)
    ways = Ways(attention=values.pop("attention") or "auto", logits=values.pop("logits") or "auto")
    return Wishes(**values, ways=ways, machine=machine_of(options, problems)), problems


def machine_of(options: argparse.Namespace, problems: list[Problem]) -> Machine | None:
    """The planned card in a machine of its own; None where this machine is meant."""
    if options.gpu_gb is not None and options.card is not None:
        fix = "Give one of the two."
        problems.append(Problem(field="--card", text="--gpu-gb names a card as well.", fix=fix))
        return None
    if options.card is not None:
        return _known(options.card, problems)
    gigabytes = _read("--gpu-gb", options.gpu_gb, _gigabytes, problems)
    return None if gigabytes is None else machine_with(of_size(gigabytes))


def method_of(options: argparse.Namespace, problems: list[Problem]) -> Method | None:
    """The method asked for alone."""
    choice = _CHOICES["method"]
    found: Method | None = _read(choice.option, options.method, choice.read, problems)
    return found


def refuse(problems: list[Problem], verb: str) -> None:
    """Raise Usage with all of them, where there are any."""
    if not problems:
        return
    from studio.cli.program import Usage

    first = problems[0]
    several = f"{len(problems)} things make no sense; each is named below."
    text, fix = (first.text, first.fix) if len(problems) == 1 else (several, "Mend each of them.")
    raise Usage(text, f"usage: finetune-studio {verb} --help\n", fix, problems)


def _known(name: str, problems: list[Problem]) -> Machine | None:
    from studio.core.cards import find
    from studio.library import cards

    if (found := find(cards.known(), name)) is not None:
        return machine_with(found)
    fix = "See “finetune-studio cards”, or give its memory with --gpu-gb."
    problems.append(Problem(field="--card", text=f"No card is known as “{name}”.", fix=fix))
    return None


def _read(
    option: str, text: str | None, meaning: Callable[[str], Any], problems: list[Problem]
) -> Any:
    if text is None:
        return None
    try:
        return meaning(text)
    except ValueError as error:
        what = f"{option} is “{text}”, which makes no sense here."
        problems.append(Problem(field=option, text=what, fix=str(error)))
        return None


def _whole(most: int) -> Callable[[str], int]:
    def meaning(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = 0
        if not 1 <= value <= most:
            raise ValueError(f"Give a whole number from 1 to {most}.")
        return value

    return meaning


def _gigabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _MOST_GB:
        raise ValueError("A card has more than 0 GB: give it as 8 or 24.")
    return value


def _changed(part: Any, **values: Any) -> Any:
    return msgspec.structs.replace(part, **{k: v for k, v in values.items() if v is not None})
