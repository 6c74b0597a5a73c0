"""What a mix's picture shows is what the adapters change, by plain arithmetic on whole layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from studio.library import adapter_files
from studio.library.mix_strengths import block_of, strengths, words
from tests.support import adapters as made


def whole(folder: Path, scale: float) -> dict[str, np.ndarray]:
    tensors = load_file(folder / adapter_files.WEIGHTS)
    return {
        name: (tensors[name.replace("lora_A", "lora_B")].float() @ tensor.float() * scale).numpy()
        for name, tensor in tensors.items()
        if "lora_A" in name
    }


@pytest.fixture
def pair(tmp_path: Path, tiny_model: Path) -> list[Path]:
    """The second is stored in bfloat16, of another rank and on attention alone."""
    first = made.make_adapter(tiny_model, tmp_path / "a", 1, use_rslora=True)
    second = made.make_adapter(tiny_model, tmp_path / "b", 2, r=2, target_modules=["q_proj"])
    file = second / adapter_files.WEIGHTS
    save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    return [first, second]


def test_lengths_and_cosines(pair: list[Path]) -> None:
    found = strengths(pair)
    assert found is not None
    deltas = [whole(pair[0], 4.0), whole(pair[1], 4.0)]
    for at, delta in enumerate(deltas):
        total = np.sqrt(sum(float((one**2).sum()) for one in delta.values()))
        assert found.whole[at] == pytest.approx(total, rel=1e-4)
        for place, block in enumerate(found.blocks):
            there = [one for name, one in delta.items() if block_of(name) == block]
            length = np.sqrt(sum(float((one**2).sum()) for one in there))
            assert found.by_block[at][place] == pytest.approx(length, rel=1e-4)
    dot = sum(float((deltas[0][name] * deltas[1][name]).sum()) for name in deltas[1])
    assert found.alike[0][1] == pytest.approx(dot / np.prod(found.whole), abs=1e-5)
    assert found.alike[0][1] == found.alike[1][0]
    assert found.alike[0][0] == pytest.approx(1)


def test_shares_follow_the_weights(pair: list[Path]) -> None:
    found = strengths(pair)
    assert found is not None
    assert sum(found.shares([0.5, -0.5])) == pytest.approx(1)
    assert found.shares([1, 0]) == [1.0, 0.0]
    assert found.shares([0, 0]) == [0.0, 0.0]
    assert found.shares([1, 1])[0] == pytest.approx(found.whole[0] / sum(found.whole))


def test_one_with_itself_and_one_against_itself(tmp_path: Path, pair: list[Path]) -> None:
    same = strengths([pair[0], pair[0]])
    assert same is not None
    assert "the same thing" in words(same, ["a", "b"])
    against = tmp_path / "against"
    against.mkdir()
    for file in pair[0].iterdir():
        (against / file.name).write_bytes(file.read_bytes())
    file = against / adapter_files.WEIGHTS
    tensors = load_file(file)
    flipped = {name: -each if "lora_A" in name else each for name, each in tensors.items()}
    save_file(flipped, file)
    opposed = strengths([pair[0], against])
    assert opposed is not None
    assert "against each other (cosine -1.00)" in words(opposed, ["a", "b"])
    assert "hardly touch" in words(strengths(pair) or opposed, ["a", "b"])


def test_reading_can_be_given_up(pair: list[Path]) -> None:
    assert strengths(pair, lambda: True) is None
