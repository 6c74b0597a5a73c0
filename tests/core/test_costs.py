"""Time, disk, system memory and download of a run, by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core import costs as reckoning
from studio.core import disk
from studio.core.costs import Costs, costs
from studio.core.facts import DatasetReport, Machine, ModelFacts
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe, TrainingPart
from studio.core.sizing.architectures import shapes_of
from studio.core.speed import FAR_SPREAD, NEAR_SPREAD, Speed, SpeedKey

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}
PARAMETERS = 16 * (4 * 1024**2 + 3 * 1024 * 4096 + 2 * 1024) + 2 * 32000 * 1024 + 1024
MODEL = ModelFacts(
    path="m", config=LLAMA, parameters=PARAMETERS, tensor_bytes=2 * PARAMETERS, dtype="BF16"
)
HERE = Machine(cpu="A processor", ram_free_bytes=1 << 40, disk_free_bytes=1 << 40)
ROWS = DatasetReport(
    path="d",
    format="chat",
    confidence=1.0,
    rows=1000,
    usable_rows=1000,
    kept_rows=1000,
    eval_rows=200,
    tokens=100_000,
    trained_tokens=40_000,
    trained_share=0.4,
    mean_tokens=100.0,
)


PLAIN: dict[str, Any] = {"dtype": "float32", "epochs": 2.0, "batch_size": 8}


def recipe(method: str = "lora", **training: Any) -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,  # type: ignore[arg-type]
        data=DataPart(max_length=512),
        training=TrainingPart(**{**PLAIN, **training}),
    )


def speed(flops: float = 1e12, parameters: int = PARAMETERS) -> Speed:
    key = SpeedKey(device="A processor", dtype="float32")
    return Speed(key=key, flops=flops, parameters=parameters)


def of(wanted: Recipe | None = None, known: Speed | None = None, **changes: Any) -> Costs:
    return costs(wanted or recipe(), MODEL, HERE, ROWS, known, **changes)


def test_no_time_that_nobody_measured() -> None:
    found = of()
    assert (found.step_seconds, found.total_seconds, found.low_seconds, found.high_seconds) == (
        None, None, None, None,
    )  # fmt: skip
    assert found.steps == 200
    without = costs(recipe(), MODEL, HERE, None, speed())
    assert (without.steps, without.total_seconds) == (None, None)
    assert without.checkpoint_bytes is not None


def test_time_is_operations_over_speed() -> None:
    found, faster = of(known=speed()), of(known=speed(2e12))
    assert found.step_seconds is not None
    assert found.total_seconds is not None
    assert faster.total_seconds == pytest.approx(found.total_seconds / 2)
    shapes = shapes_of(LLAMA)
    assert shapes is not None
    plainly = 4 * shapes.linear * 100 * 8 / 1e12  # 4 P a token, nearly
    assert plainly < found.step_seconds < 1.35 * plainly
    looks = found.total_seconds - 200 * found.step_seconds
    assert 0 < looks < found.total_seconds  # five looks at 200 rows, forward alone
    assert of(recipe(max_steps=50), speed()).steps == 50


def test_full_takes_half_as_much_again_and_recomputing_a_third_more() -> None:
    lora, full = of(known=speed()), of(recipe("full"), speed())
    recomputing = of(recipe("full"), speed(), checkpointing=True)
    for one in (lora, full, recomputing):
        assert one.step_seconds is not None
    assert 1.3 < full.step_seconds / lora.step_seconds < 1.5  # type: ignore[operator]
    assert 1.2 < recomputing.step_seconds / full.step_seconds < 1.34  # type: ignore[operator]


def test_the_range_is_wider_where_another_size_was_measured() -> None:
    near, far = of(known=speed()), of(known=speed(parameters=8 * PARAMETERS))
    assert near.total_seconds is not None
    assert near.low_seconds == pytest.approx(near.total_seconds / NEAR_SPREAD)
    assert near.high_seconds == pytest.approx(near.total_seconds * NEAR_SPREAD)
    assert far.high_seconds == pytest.approx(near.total_seconds * FAR_SPREAD)


def test_long_rows_weigh_more_than_their_mean_says() -> None:
    spread = msgspec.structs.replace(ROWS, bin_tokens=100, histogram=(900, 0, 0, 0, 0, 100))
    even = reckoning.rows_of(ROWS, 512).squares
    assert even == 100.0**2
    assert reckoning.rows_of(spread, 512).squares == pytest.approx(0.9 * 50**2 + 0.1 * 512**2)


def test_disk_memory_and_download() -> None:
    found = of()
    assert found.adapter_bytes is not None
    assert found.checkpoint_bytes is not None
    values = 16 * 16 * (4 * 2 * 1024 + 3 * (1024 + 4096))
    assert 4 * values < found.adapter_bytes < 1.01 * 4 * values
    assert 12 * values < found.checkpoint_bytes < 1.01 * 12 * values
    assert found.merged_bytes == pytest.approx(2 * PARAMETERS, rel=0.001)
    assert found.checkpoints_bytes == 3 * (found.checkpoint_bytes + _best(found))
    assert found.ram_load_bytes == pytest.approx(
        reckoning.PROCESS_BYTES + 4 * PARAMETERS, rel=0.001
    )
    assert found.ram_merge_bytes == reckoning.PROCESS_BYTES + 16 * 32000 * 1024
    assert of(recipe("full")).adapter_bytes is None
    assert found.download_bytes == 2 * PARAMETERS
    here = msgspec.structs.replace(MODEL, digest="abc")
    assert costs(recipe(), here, HERE).download_bytes == 0
    hub = msgspec.structs.replace(MODEL, tensor_bytes=0, dtype="")
    assert costs(recipe(), hub, HERE).download_bytes == 2 * PARAMETERS


def _best(found: Costs) -> int:
    need = disk.needed(recipe(), MODEL, HERE)
    assert need is not None
    assert need.checkpoint_bytes == found.checkpoint_bytes  # one owner of the fact
    return need.best_bytes


def test_of_an_unknown_architecture_only_the_download_is_known() -> None:
    unknown = msgspec.structs.replace(MODEL, config={})
    found = costs(recipe(), unknown, HERE, ROWS, speed())
    assert found == Costs(download_bytes=2 * PARAMETERS)
    assert costs(recipe(), None) == Costs()


def test_exports_take_the_bits_of_their_blocks() -> None:
    """Sizes of ggml's blocks as gguf-py has them: weights and bytes of each."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    for kind, bits in disk.GGUF_BITS.items():
        weights, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
        assert bits == 8 * size / weights
    sizes = list(of().exports_bytes.values())
    assert sizes == sorted(sizes, reverse=True)
    assert of().exports_bytes["F16"] == pytest.approx(2 * PARAMETERS, rel=0.001)
