"""libllama's quantizer: every kind that is offered, what falls back, what goes wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import gguf
import pytest

from studio.core.errors import StudioError
from studio.engine.llama_cpp import quantize
from tests.engine.llama_cpp.conftest import nothing


def kinds(file: Path) -> Counter[str]:
    return Counter(
        gguf.GGMLQuantizationType(tensor.tensor_type).name
        for tensor in gguf.GGUFReader(file).tensors
        if len(tensor.shape) > 1
    )


@pytest.mark.parametrize(
    ("kind", "most"), [("Q4_K_M", "Q4_K"), ("Q5_1", "Q5_1"), ("IQ4_XS", "IQ4_XS")]
)
def test_a_kind_is_made_and_nothing_falls_back(
    small_gguf: Path, tmp_path: Path, kind: str, most: str
) -> None:
    out, shares = tmp_path / f"{kind}.gguf", list[float]()
    quantize.quantize(small_gguf, out, kind, shares.append, threads=1)
    assert kinds(out).most_common(1)[0][0] == most
    assert quantize.fallbacks(out, kind).sentence == ""
    assert max(shares) > 0.5
    assert out.stat().st_size < small_gguf.stat().st_size / 3


def test_rows_of_another_length_are_named(starter_gguf: Path, tmp_path: Path) -> None:
    """The starter model's rows have 576 values, no multiple of 256."""
    out = tmp_path / "q.gguf"
    quantize.quantize(starter_gguf, out, "Q4_K_M", nothing, threads=1)
    found = quantize.fallbacks(out, "Q4_K_M")
    assert found.tensors == sum(found.kinds.values()) > 0
    assert set(found.kinds) == {"Q5_0", "Q8_0"}
    assert str(found.tensors) in found.sentence


def test_a_broken_file_is_no_result(tmp_path: Path) -> None:
    broken, out = tmp_path / "broken.gguf", tmp_path / "out.gguf"
    broken.write_bytes(b"GGUF and nothing more")
    with pytest.raises(StudioError, match="could not write Q8_0"):
        quantize.quantize(broken, out, "Q8_0", nothing)
    assert not out.exists()


def test_it_can_be_given_up(small_gguf: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def tick(share: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        quantize.quantize(small_gguf, tmp_path / "out.gguf", "Q4_K_M", tick)
