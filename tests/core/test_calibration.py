"""What was measured here goes into the next estimate: of the same kind and of like size alone."""

from __future__ import annotations

import msgspec
import pytest

from studio.core import calibration, checking, memory
from studio.core.calibration import Calibration, CalibrationKey
from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.recipe import DatasetPart, ModelPart, Recipe

CONFIG = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
MODEL = ModelFacts(path="m", config=CONFIG)
RECIPE = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),))


def machine(name: str = "A card", driver: str = "1.0", free: int = 24 << 30) -> Machine:
    card = Gpu(
        index=0,
        name=name,
        driver=driver,
        total_bytes=free,
        used_bytes=0,
        free_bytes=free,
        compute_capability=(8, 6),
    )
    return Machine(gpus=(card,))


def one(ratio: float, here: Machine, expected: int = 0) -> Calibration:
    found = memory.estimate(RECIPE, MODEL, here)
    expected = expected or found.expected_bytes
    made = calibration.measured(
        calibration.key_of(RECIPE, here, found), int(expected * ratio), expected
    )
    assert made is not None
    return made


def test_what_was_measured_is_in_the_next_estimate() -> None:
    here = machine()
    before = memory.estimate(RECIPE, MODEL, here)
    after = calibration.calibrated(RECIPE, MODEL, here, kept=[one(1.25, here)])
    assert after.expected_bytes == pytest.approx(before.expected_bytes * 1.25, rel=1e-3)
    assert after.upper_bytes / after.expected_bytes < before.upper_bytes / before.expected_bytes


@pytest.mark.parametrize(
    "other", [machine(name="Another card"), machine(driver="2.0"), Machine(ram_free_bytes=8 << 30)]
)
def test_another_card_or_driver_says_nothing(other: Machine) -> None:
    before = memory.estimate(RECIPE, MODEL, other)
    assert calibration.calibrated(RECIPE, MODEL, other, kept=[one(1.25, machine())]) == before


def test_another_method_or_way_says_nothing() -> None:
    here = machine()
    full = msgspec.structs.replace(RECIPE, method="full")
    found = calibration.with_ratio(full, MODEL, here, kept=[one(1.25, here)])
    assert found == (memory.estimate(full, MODEL, here), 1.0)
    eager = calibration.with_ratio(
        RECIPE, MODEL, here, kept=[one(1.25, here)], ways=memory.Ways(attention="eager")
    )
    assert eager[1] == 1.0


def test_runs_of_another_size_say_nothing() -> None:
    here = machine()
    expected = memory.estimate(RECIPE, MODEL, here).expected_bytes
    kept = [one(3.0, here, expected // 5), one(3.0, here, expected * 5), one(1.1, here)]
    assert calibration.with_ratio(RECIPE, MODEL, here, kept=kept)[1] == pytest.approx(1.1, rel=1e-3)


def test_the_newest_count_and_one_outlier_does_not() -> None:
    key = CalibrationKey(device="A card", driver="1", kernel="lora")
    kept = [
        Calibration(key=key, ratio=ratio, peak_bytes=1, expected_bytes=100)
        for ratio in (9.0, 9.0, 9.0, 1.1, 1.2, 7.0, 1.1, 1.15)
    ]
    assert calibration.ratio(kept, key, 100) == 1.15


def test_a_ratio_that_makes_it_too_big_has_its_activations_recomputed() -> None:
    """The estimate that is asked again is the one of the run as it then is."""
    long = msgspec.structs.replace(
        RECIPE, data=msgspec.structs.replace(RECIPE.data, max_length=2048)
    )
    roomy = memory.estimate(long, MODEL, machine(), advise=False)
    here = machine(free=int(roomy.needed_bytes * 1.2))
    before = memory.estimate(long, MODEL, here, advise=False)
    assert before.assumed["gradient_checkpointing"] == "no"
    key = calibration.key_of(long, here, before)
    kept = [Calibration(key=key, ratio=2.0, peak_bytes=2, expected_bytes=before.expected_bytes)]
    after = calibration.calibrated(long, MODEL, here, kept=kept)
    assert after.assumed["gradient_checkpointing"] == "yes"
    assert after.verdict == "fits"


@pytest.mark.parametrize(("peak", "expected"), [(0, 10), (10, 0), (1, 1000), (1000, 1)])
def test_what_can_not_be_of_this_run_is_not_kept(peak: int, expected: int) -> None:
    key = CalibrationKey(device="CPU", driver="", kernel="lora")
    assert calibration.measured(key, peak, expected) is None


def test_without_a_known_architecture_nothing_is_made_up() -> None:
    strange = ModelFacts(path="m", config={"model_type": "strange"})
    found, ratio = calibration.with_ratio(RECIPE, strange, machine(), kept=[one(1.2, machine())])
    assert (found.verdict, found.expected_bytes, ratio) == ("unknown", 0, 1.0)


def test_the_check_of_a_recipe_goes_by_it_too() -> None:
    roomy = memory.estimate(RECIPE, MODEL, machine(), advise=False)
    here = machine(free=int(roomy.needed_bytes * 1.1))
    asked = msgspec.structs.replace(RECIPE.training, gradient_checkpointing="no")
    one_way = msgspec.structs.replace(RECIPE, training=asked)
    key = calibration.key_of(one_way, here, memory.estimate(one_way, MODEL, here))
    kept = [Calibration(key=key, ratio=2.0, peak_bytes=2, expected_bytes=roomy.expected_bytes)]

    def about_memory(kept: list[Calibration]) -> list[str]:
        found = checking.check(one_way, here, MODEL, None, kept)
        return [problem.text for problem in found if "estimated" in problem.text]

    assert about_memory([]) == []
    assert len(about_memory(kept)) == 1
