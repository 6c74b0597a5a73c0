"""What was measured of this machine's speed, kept and looked up."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import msgspec
import pytest

from studio.core import speed
from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.recipe import DatasetPart, ModelPart, Recipe, TrainingPart
from studio.core.speed import Speed, SpeedKey, speed_for
from studio.core.upgrades import FORMATS
from studio.core.work import Rows
from studio.library import speeds
from studio.library.folders import Home
from studio.library.locks import Lock

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 512,
}
CARD = Gpu(
    index=0, name="RTX", total_bytes=24, used_bytes=0, free_bytes=24, driver="580", uuid="GPU-1"
)
MACHINE = Machine(gpus=(CARD,), cpu="A processor")
ROWS = Rows(tokens=1000, trained=400, squares=50_000)


def recipe(method: str = "lora", dtype: str = "auto") -> Recipe:
    return Recipe(
        model=ModelPart(path="m"),
        dataset=(DatasetPart(path="d"),),
        method=method,  # type: ignore[arg-type]
        training=TrainingPart(dtype=dtype),  # type: ignore[arg-type]
    )


def kept(
    flops: float = 1e12,
    parameters: int = 10**9,
    at: float = 0.0,
    method: str = "lora",
    dtype: str = "bfloat16",
    driver: str = "580",
) -> Speed:
    key = SpeedKey(device="RTX", driver=driver, dtype=dtype, method=method)  # type: ignore[arg-type]
    return Speed(key=key, flops=flops, parameters=parameters, measured_at=at)


def test_what_is_measured_is_kept(home: Home) -> None:
    home.make()
    facts = ModelFacts(path="m", config=LLAMA)
    new = speeds.measured(
        recipe(), facts, MACHINE, ROWS, 2.0, checkpointing=False, dtype="bfloat16"
    )
    assert new is not None
    assert new.key == SpeedKey(device="RTX", driver="580", dtype="bfloat16", method="lora")
    twice = speeds.measured(
        recipe(), facts, MACHINE, ROWS, 1.0, checkpointing=False, dtype="bfloat16"
    )
    assert twice is not None
    assert twice.flops == pytest.approx(2 * new.flops)
    assert speeds.remember(home, new)
    assert speeds.remember(home, twice)
    assert speeds.kept(home) == (new, twice)
    assert json.loads(home.speeds.read_bytes())["format"] == FORMATS["speeds"]
    assert speed_for(speeds.kept(home), recipe(), MACHINE) == twice


def test_what_says_nothing_isnt_kept() -> None:
    facts = ModelFacts(path="m", config=LLAMA)
    too_short = speeds.measured(
        recipe(), facts, MACHINE, ROWS, 0.001, checkpointing=False, dtype="bfloat16"
    )
    assert too_short is None
    unknown = msgspec.structs.replace(facts, config={})
    assert (
        speeds.measured(recipe(), unknown, MACHINE, ROWS, 2.0, checkpointing=False, dtype="x")
        is None
    )


def test_only_a_few_of_a_kind_stay(home: Home) -> None:
    home.make()
    for number in range(speeds.OF_A_KEY + 5):
        speeds.remember(home, kept(flops=float(number + 1)))
    speeds.remember(home, kept(method="full"))
    found = speeds.kept(home)
    assert len(found) == speeds.OF_A_KEY + 1
    assert found[0].flops == 6.0


def test_a_file_or_disk_that_refuses_fails_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.make()
    home.speeds.write_bytes(b"{")
    assert speeds.kept(home) == ()
    assert speeds.remember(home, kept())
    newer = json.dumps({"format": FORMATS["speeds"] + 1, "speeds": []})
    home.speeds.write_text(newer, "utf-8")
    assert speeds.kept(home) == ()
    assert not speeds.remember(home, kept())
    assert home.speeds.read_text("utf-8") == newer
    home.speeds.unlink()

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(speeds, "write_whole", full)
    assert not speeds.remember(home, kept())


def test_whoever_writes_is_waited_for_a_moment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.make()
    monkeypatch.setattr(speeds, "_PATIENCE_SECONDS", 0.05)
    lock = Lock(home.speeds.with_suffix(".lock"))
    assert lock.acquire()
    assert not speeds.remember(home, kept())
    lock.release()
    assert speeds.remember(home, kept())


@pytest.mark.parametrize(
    "other",
    [
        kept(method="full"),
        kept(driver="570"),
        Speed(key=SpeedKey(device="GTX", driver="580", dtype="bfloat16"), flops=1.0),
        kept(flops=0.0),
    ],
)
def test_another_card_driver_or_method_says_nothing(other: Speed) -> None:
    assert speed_for([other], recipe(), MACHINE) is None


def test_the_nearest_in_size_speaks_then_the_newest() -> None:
    small, large = kept(1.0, 10**8), kept(2.0, 8 * 10**9)
    newer = kept(3.0, 8 * 10**9, at=9.0)
    found = [small, large, newer]
    assert speed_for(found, recipe(), MACHINE, 7 * 10**9) == newer
    assert speed_for(found, recipe(), MACHINE, 2 * 10**8) == small
    assert speed_for(found, recipe(dtype="float16"), MACHINE, 10**8) is None
    assert speed_for(found, recipe(dtype="bfloat16"), MACHINE, 10**8) == small
    assert speed_for(found, recipe(), None) is None


def test_a_measurement_of_another_size_is_trusted_less() -> None:
    assert speed.spread(kept(parameters=10**9), 15 * 10**8) == speed.NEAR_SPREAD
    assert speed.spread(kept(parameters=10**9), 10**10) == speed.FAR_SPREAD


def test_without_a_card_the_processor_is_the_device() -> None:
    assert speed.device_of(Machine(cpu="A processor")) == ("A processor", "")
    assert speed.device_of(Machine()) == ("CPU", "")
