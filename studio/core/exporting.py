"""What a model can be exported as: what each form takes, who reads it, what may be chosen."""

from __future__ import annotations

import msgspec

from studio.core.errors import StudioError

DTYPES = ("auto", "bfloat16", "float16", "float32")
CHECKS = ("full", "quick", "none")


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """One number format of weights that a form offers. `bits` is what a weight takes on average,
    `precision` which tolerances of the passport hold for it (core/passport.py)."""

    id: str
    bits: float
    precision: str
    text: str = ""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One form of export. The engine's part is the module of studio/engine/export named `module`.

    `wants_adapter` says that there is nothing to export without one. `dtypes` and `quantizations`
    are what may be chosen, the first of each by itself. `part` names an optional part that has to
    be installed; `advice` warns of what is known of the form.
    """

    id: str
    title: str
    text: str
    readers: tuple[str, ...]
    module: str
    wants_adapter: bool = False
    dtypes: tuple[str, ...] = ()
    quantizations: tuple[Quantization, ...] = ()
    takes_system: bool = False
    part: str = ""
    advice: str = ""
    settings: tuple[str, ...] = ()


FORMATS: tuple[Format, ...] = (
    Format(
        id="safetensors",
        title="Merged model",
        text="Base and adapter as one model folder in 16 or 32 bits.",
        readers=("transformers", "vLLM", "TGI", "LM Studio (MLX)", "further training"),
        module="merged",
        dtypes=DTYPES,
    ),
    Format(
        id="adapter",
        title="Adapter alone",
        text="The LoRA in PEFT's own form with a model card: small, and needs its base.",
        readers=("peft", "transformers", "vLLM", "the hub"),
        module="bare_adapter",
        wants_adapter=True,
    ),
)
"""In the order in which they are offered."""


def find(name: str) -> Format:
    """The format of this id. Raises StudioError where there is none."""
    for each in FORMATS:
        if each.id == name:
            return each
    raise StudioError(
        "Unknown format",
        f"Nothing can be exported as {name or 'nothing'}.",
        f"Use one of {', '.join(each.id for each in FORMATS)}.",
    )


def quantization(format: Format, name: str) -> Quantization | None:
    """The number format of this name, the form's own without one; None where it has none to choose.

    Raises StudioError for one that it doesn't offer.
    """
    if not name:
        return format.quantizations[0] if format.quantizations else None
    for each in format.quantizations:
        if each.id.casefold() == name.casefold():
            return each
    offered = ", ".join(each.id for each in format.quantizations)
    raise StudioError(
        "Unknown quantization",
        f"{format.title} has no quantization {name}.",
        f"Use one of {offered}." if offered else "Leave it away.",
    )
