"""libllama's own quantizer in a process of its own, which can be killed and may not take others
along; and what it made of each tensor."""

from __future__ import annotations

import ctypes
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from studio.core.errors import StudioError
from studio.engine import children
from studio.engine.llama_cpp import library
from studio.engine.llama_cpp.structs import ImportanceData

FTYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10,
    "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16,
    "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
}  # fmt: skip
"""llama_ftype by the names that people know (llama.h). Those that need an importance matrix to be
of use (IQ1 to IQ3) aren't offered."""

BUFFER_BYTES = 512 << 20
"""Rows of a tensor that are in memory at once."""
BLOCK = 256
"""Values that a K-quant rounds together: rows of another multiple get a plain kind instead."""

_STEP = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")
Tick = Callable[[float], None]


@dataclass(frozen=True)
class Fallbacks:
    """Weights whose rows are no multiple of 256 long: how many of all that are rounded, and the
    kinds that they have instead."""

    tensors: int
    of: int
    kinds: dict[str, int]

    @property
    def sentence(self) -> str:
        """For people; "" where there are none."""
        if not self.tensors:
            return ""
        kinds = ", ".join(f"{count} in {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.tensors} of {self.of} weights have rows that aren't a multiple of {BLOCK}; "
            f"llama.cpp stores them otherwise ({kinds}), so the file is larger than usual."
        )


def quantize(
    source: Path, out: Path, kind: str, tick: Tick, threads: int = 0,
    importance: Path | None = None,
) -> None:  # fmt: skip
    """Write `source`, a GGUF in 16 or 32 bits, in another kind; `out` is no file when it raises.

    `importance` is a safetensors file of what importance.py measures.
    """
    share = 0.0

    def hear(line: str) -> None:
        nonlocal share
        if found := _STEP.search(line):
            share = int(found[1]) / max(1, int(found[2]))

    words = ["-m", __spec__.name, str(source), str(out), kind, str(threads)]
    words += [str(importance)] if importance else []
    status, last = children.run(children.python(*words), hear, lambda: tick(share))
    if status:
        out.unlink(missing_ok=True)
        reason = (last or ["it gave no reason"])[-1].strip().rstrip(".")
        raise StudioError(
            "Quantizing failed",
            f"llama.cpp could not write {kind}: {reason}.",
            "Choose another kind, for example Q8_0.",
        )


def fallbacks(file: Path, kind: str) -> Fallbacks:
    """Which weights of a quantized file have another kind than asked, for their rows' length."""
    from gguf import GGMLQuantizationType, GGUFReader

    if "_K" not in kind and kind != "IQ4_XS":
        return Fallbacks(0, 0, {})
    rounded = [t for t in GGUFReader(file).tensors if len(t.shape) > 1]
    odd = [tensor for tensor in rounded if int(tensor.shape[0]) % BLOCK]
    kinds = Counter(GGMLQuantizationType(tensor.tensor_type).name for tensor in odd)
    return Fallbacks(len(odd), len(rounded), dict(kinds))


def _main(source: str, out: str, kind: str, threads: str, importance: str = "") -> int:
    lib = library.load()
    library.echo = sys.stdout
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.nthread = FTYPES[kind], int(threads)
    params.max_buf_size = BUFFER_BYTES
    known = load_file(importance) if importance else {}
    entries = _entries(known)
    if known:
        params.imatrix = ctypes.cast(entries, ctypes.c_void_p)
    return int(lib.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(params)))


def _entries(known: dict[str, npt.NDArray[np.float32]]) -> ctypes.Array[ImportanceData]:
    """What llama.cpp reads; it points into the arrays, which have to live as long."""
    entries = (ImportanceData * (len(known) + 1))()
    floats = ctypes.POINTER(ctypes.c_float)
    for place, (name, values) in enumerate(known.items()):
        data = values.ctypes.data_as(floats)
        entries[place] = ImportanceData(name.encode(), data, values.size)
    return entries


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
