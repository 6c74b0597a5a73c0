"""What is measured on training rows reaches llama.cpp's quantizer, and rounds by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.numpy import save_file

from studio.core.commands import Export
from studio.core.errors import StudioError
from studio.core.events import Finished
from studio.engine.data import Row
from studio.engine.export import job as exports_job
from studio.engine.llama_cpp import importance, quantize
from studio.engine.load import load_model
from studio.library import adapters
from studio.library.folders import Home, JobFolder
from tests.engine.llama_cpp.conftest import nothing
from tests.support import adapters as made
from tests.support import engines

DOWN = "blk.0.ffn_down.weight"


def rows(count: int = 3) -> list[Row]:
    ids = np.random.default_rng(0).integers(5, 200, (count, 24))
    return [Row(each, each) for each in ids]


def test_the_mean_square_of_every_input_by_the_files_names(small: Path, small_gguf: Path) -> None:
    found = importance.measure(small, rows(), importance.names_in(small_gguf), nothing)
    model: Any = load_model(small, torch.float32, device=torch.device("cpu"))
    heard: list[torch.Tensor] = []
    model.model.layers[0].mlp.down_proj.register_forward_pre_hook(
        lambda module, inputs: heard.append(inputs[0][0])
    )
    for row in rows():
        model(input_ids=torch.tensor(row.input_ids[None]))
    wanted = torch.cat(heard).square().mean(0).detach().numpy()
    assert np.linalg.norm(found[DOWN] - wanted) < 0.05 * np.linalg.norm(wanted)
    rounded = [
        tensor for tensor in gguf.GGUFReader(small_gguf).tensors
        if len(tensor.shape) > 1 and tensor.name in found
    ]  # fmt: skip
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    assert len(rounded) == len(found) == len(layers)
    assert all(found[tensor.name].size == tensor.shape[0] for tensor in rounded)


def error_of(file: Path, whole: Path, counts: np.ndarray) -> float:
    one, other = (
        next(each for each in gguf.GGUFReader(path).tensors if each.name == DOWN)
        for path in (file, whole)
    )
    left, right = (gguf.dequantize(each.data, each.tensor_type) for each in (one, other))
    return float((np.square(left - right) * counts).sum())


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K_M"])
def test_what_counts_is_rounded_with_more_care(small_gguf: Path, tmp_path: Path, kind: str) -> None:
    width = next(t for t in gguf.GGUFReader(small_gguf).tensors if t.name == DOWN).shape[0]
    counts = np.where(np.arange(width) % 8 == 0, 100.0, 1e-3).astype(np.float32)
    told = tmp_path / "counts.safetensors"
    save_file({DOWN: counts}, told)
    plain, careful = tmp_path / "plain.gguf", tmp_path / "careful.gguf"
    quantize.quantize(small_gguf, plain, kind, nothing, threads=1)
    quantize.quantize(small_gguf, careful, kind, nothing, threads=1, importance=told)
    assert careful.stat().st_size < plain.stat().st_size * 1.01
    with_care = error_of(careful, small_gguf, counts)
    assert with_care < 0.7 * error_of(plain, small_gguf, counts)


def test_an_export_in_few_bits_uses_the_rows_of_its_run(
    home: Home, tmp_path: Path, small: Path
) -> None:
    plain = made.make_adapter(small, tmp_path / "plain", seed=3)
    adapter = adapters.add(home, plain, "mine", adapters.AdapterFacts(method="lora", run="one"))
    data = JobFolder(home.runs / "one").data
    data.mkdir(parents=True)
    kind = pa.list_(pa.int32())
    columns = {
        name: pa.array([row.input_ids.tolist() for row in rows()], kind)
        for name in ("input_ids", "labels")
    }
    table = pa.table(columns)
    with pa.ipc.new_file(data / "train.arrow", table.schema) as file:
        file.write_table(table)

    def export(name: str, **settings: str) -> bytes:
        job = Export(
            format="gguf", out=str(tmp_path / name), model=str(small), adapter=str(adapter),
            quantization="Q4_0", check="none", settings=settings,
        )  # fmt: skip
        context = engines.context_of(home, job)
        exports_job.run(context)
        assert isinstance(engines.events_of(context)[-1], Finished)
        [file] = (tmp_path / name).glob("*.gguf")
        assert not list((tmp_path / name).glob("*.safetensors"))
        tensor = next(t for t in gguf.GGUFReader(file).tensors if t.name == DOWN)
        return bytes(tensor.data)

    careful = export("one")
    assert careful == export("two", importance="yes")
    assert careful != export("three", importance="no")
    with pytest.raises(StudioError, match="Unknown setting"):
        export("four", importance="perhaps")
