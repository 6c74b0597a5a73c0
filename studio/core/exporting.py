"""What a model can be exported as: what each form takes, who reads it, what may be chosen."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from studio.core.errors import StudioError

DTYPES = ("auto", "bfloat16", "float16", "float32")
CHECKS = ("full", "quick", "none")
IMPORTANCE = "importance"
"""The setting that says whether rounding is weighed by what counts on training rows."""
_COARSE_BELOW = 6.5


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """One number format of weights that a form offers. `bits` is what a weight takes on average,
    `precision` which tolerances of the passport hold for it (core/passport.py)."""

    id: str
    bits: float
    precision: str
    text: str = ""

    @property
    def coarse(self) -> bool:
        """Whether so few bits are left that rounding gains by an importance matrix."""
        return self.bits < _COARSE_BELOW


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One form of export. The engine's part is the module of studio/engine/export named `module`.

    `wants_adapter` says that there is nothing to export without one. `dtypes` and `quantizations`
    are what may be chosen, the first of each by itself. `parts` names optional parts that have to
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
    parts: tuple[str, ...] = ()
    advice: str = ""
    settings: tuple[str, ...] = ()


def _kind(id: str, bits: float, precision: str, text: str = "") -> Quantization:
    return Quantization(id=id, bits=bits, precision=precision, text=text)


GGUF_KINDS = (
    _kind("Q8_0", 8.5, "8-bit", "nearly what 16 bits say, half the size"),
    _kind("Q4_K_M", 4.85, "4-bit", "the usual choice where memory is short"),
    _kind("Q5_K_M", 5.7, "5-bit", "between the two"),
    _kind("Q6_K", 6.56, "6-bit", "close to Q8_0, a fifth smaller"),
    _kind("F16", 16, "float16", "as trained, for a card or for quantizing later"),
    _kind("BF16", 16, "bfloat16", "as most models are stored"),
    _kind("F32", 32, "float32"),
    _kind("Q5_K_S", 5.5, "5-bit"),
    _kind("Q5_1", 6, "5-bit"),
    _kind("Q5_0", 5.5, "5-bit"),
    _kind("Q4_K_S", 4.6, "4-bit"),
    _kind("Q4_1", 5, "4-bit"),
    _kind("Q4_0", 4.5, "4-bit", "fastest on processors; loses more than Q4_K_M"),
    _kind("IQ4_NL", 4.5, "4-bit"),
    _kind("IQ4_XS", 4.25, "4-bit"),
    _kind("Q3_K_L", 4.3, "3-bit"),
    _kind("Q3_K_M", 3.9, "3-bit"),
    _kind("Q3_K_S", 3.5, "3-bit"),
    _kind("Q2_K", 3, "2-bit", "much is lost"),
)
"""llama.cpp's kinds with the bits of a weight on average. Those that need an importance matrix to
be of use (IQ1 to IQ3) aren't offered."""

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
    Format(
        id="gguf",
        title="GGUF",
        text="One file for llama.cpp and all that is built on it, with a Modelfile for Ollama.",
        readers=("Ollama", "LM Studio", "llama.cpp", "Jan", "KoboldCpp"),
        module="gguf",
        quantizations=GGUF_KINDS,
        takes_system=True,
        settings=(IMPORTANCE,),
        parts=("gguf-converters", "llama-cpp"),
    ),
    Format(
        id="gguf-adapter",
        title="Adapter as GGUF",
        text="The LoRA alone, for a base that llama.cpp or Ollama has already.",
        readers=("llama.cpp", "Ollama"),
        module="gguf_adapter",
        wants_adapter=True,
        takes_system=True,
        parts=("gguf-converters", "llama-cpp"),
    ),
    Format(
        id="nf4-adapter",
        title="4-bit base with the adapter",
        text="The base in NF4 and the adapter beside it, unmerged: nothing of the training is "
        "rounded away. The way for 4 bits.",
        readers=("transformers + peft + bitsandbytes", "vLLM"),
        module="four_bit",
        wants_adapter=True,
    ),
    Format(
        id="nf4",
        title="Merged model in 4 bits",
        text="Base and adapter merged, then rounded to NF4.",
        readers=("transformers + bitsandbytes", "vLLM"),
        module="four_bit",
        quantizations=(Quantization(id="NF4", bits=4.5, precision="4-bit"),),
        advice="Rounding a merged model again can round the training away. Its passport says "
        "whether it did; the 4-bit base with the adapter doesn't have that problem.",
    ),
    Format(
        id="onnx",
        title="ONNX",
        text="Base and adapter as one ONNX model for onnxruntime-genai.",
        readers=("onnxruntime-genai", "Windows ML", "Foundry Local"),
        module="onnx",
        quantizations=(
            Quantization(id="int4", bits=4.5, precision="4-bit", text="4 bits"),
            Quantization(id="fp32", bits=32.0, precision="float32", text="32 bits"),
        ),
        parts=("onnx",),
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


def base_words(base: str, losses: Mapping[str, float]) -> str:
    """Which of a QLoRA adapter's two bases the export was built on, and what both came to on
    held-out rows; "" for an adapter that has but one."""
    if not base:
        return ""
    line = f"Built on {_BASES[base]}"
    if losses:
        line += (
            f": held-out loss {losses['original']:.4f} on the original, "
            f"{losses['trained']:.4f} on the 4-bit base"
        )
    return line + "."


_BASES = {
    "original": "the 16-bit original",
    "trained": "the 4-bit base that it was trained on, in 16 bits",
}


def title(name: str) -> str:
    """What people call a format; its name where this studio doesn't know it."""
    return next((each.title for each in FORMATS if each.id == name), name)


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
