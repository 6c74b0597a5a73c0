"""The estimate's arithmetic, against published parameter counts and worked figures."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core import memory
from studio.core.facts import Gpu, Machine, ModelFacts
from studio.core.recipe import (
    DataPart,
    DatasetPart,
    LoraPart,
    Method,
    ModelPart,
    Optimizer,
    Recipe,
    TrainingPart,
)
from studio.core.sizing.architectures import shapes_of
from studio.core.sizing.phases import PHASES

GIB = 1 << 30


def config(
    hidden: int, wide: int, layers: int, heads: int, keys: int, words: int, tied: bool
) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": words,
        "tie_word_embeddings": tied,
    }


SMOLLM2_135M = config(576, 1536, 30, 9, 3, 49152, True)
SMOLLM2_360M = config(960, 2560, 32, 15, 5, 49152, True)
SMOLLM2_1700M = config(2048, 8192, 24, 32, 32, 49152, True)
LLAMA_3_8B = config(4096, 14336, 32, 32, 8, 128256, False)
MISTRAL_7B = config(4096, 14336, 32, 32, 8, 32000, False) | {"model_type": "mistral"}
SMALL = ModelFacts(path="m", config=SMOLLM2_135M)


def recipe(method: Method = "lora", **changes: Any) -> Recipe:
    whole = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),), method=method)
    return msgspec.structs.replace(whole, **changes)


def cpu(free_gib: float = 16.0, bf16: bool = True) -> Machine:
    free = int(free_gib * GIB)
    return Machine(cpu="CPU", ram_total_bytes=2 * free, ram_free_bytes=free, bf16_cpu=bf16)


def card(free_gib: float) -> Machine:
    free = int(free_gib * GIB)
    gpu = Gpu(
        index=0,
        name="Card",
        total_bytes=free,
        used_bytes=0,
        free_bytes=free,
        compute_capability=(8, 6),
    )
    return Machine(gpus=(gpu,), ram_free_bytes=1)


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        (SMOLLM2_135M, 134_515_008),
        (SMOLLM2_360M, 361_821_120),
        (SMOLLM2_1700M, 1_711_376_384),
        (LLAMA_3_8B, 8_030_261_248),
        (MISTRAL_7B, 7_241_732_096),
    ],
)
def test_published_parameter_counts(shape: dict[str, Any], parameters: int) -> None:
    shapes = shapes_of(shape)
    assert shapes is not None
    assert shapes.parameters == parameters


def test_the_adapter_of_rank_16_on_all_linear_layers() -> None:
    shapes = shapes_of(SMOLLM2_135M)
    assert shapes is not None
    assert memory.trainable(recipe(), shapes) == 4_884_480  # as peft prints it


def test_the_adapter_of_query_and_value_alone() -> None:
    shapes = shapes_of(LLAMA_3_8B)
    assert shapes is not None
    one = recipe(lora=LoraPart(rank=8, target_modules=("q_proj", "self_attn.v_proj")))
    assert memory.trainable(one, shapes) == 3_407_872  # as peft prints it


def test_weights_by_precision() -> None:
    def weights(method: Method, training: TrainingPart, machine: Machine) -> int:
        one = recipe(method, training=training)
        return memory.estimate(one, SMALL, machine).parts["weights"]

    plain, linear = 134_515_008, 106_168_320
    auto = TrainingPart()
    assert weights("lora", auto, cpu()) == 2 * plain
    assert weights("lora", auto, cpu(bf16=False)) == 4 * plain
    assert weights("full", auto, cpu()) == 4 * plain
    assert weights("full", TrainingPart(base_precision="16"), cpu()) == 2 * plain
    int8 = weights("lora", TrainingPart(base_precision="8"), cpu())
    outputs = 30 * (576 + 2 * 192 + 576 + 2 * 1536 + 576)
    assert int8 == linear + 4 * outputs + 2 * (plain - linear)
    nf4 = weights("qlora", auto, cpu())
    assert nf4 == pytest.approx(linear * 0.51587 + 2 * (plain - linear), rel=4e-3)


def test_full_fine_tuning_keeps_sixteen_bytes_a_parameter() -> None:
    found = memory.estimate(recipe("full"), SMALL, cpu())
    tensors = 30 * 9 + 2
    assert found.phases["optimizer"] == 16 * 134_515_008 + 4 * tensors
    assert "adapter" not in found.parts


def test_eight_bit_states_are_about_a_quarter() -> None:
    def states(optimizer: Optimizer) -> int:
        one = recipe("full", training=TrainingPart(optimizer=optimizer))
        return memory.estimate(one, SMALL, cpu()).parts["optimizer"]

    plain, eight = states("adamw"), states("adamw_8bit")
    assert plain == 8 * 134_515_008 + 4 * (30 * 9 + 2)
    embeddings = 49152 * 576
    rest = 134_515_008 - embeddings
    assert eight == pytest.approx(8 * embeddings + (2 + 8 / 256) * rest, rel=2e-3)


def test_parts_come_in_order_and_add_up() -> None:
    found = memory.estimate(recipe(), SMALL, cpu())
    assert list(found.parts) == [
        "weights",
        "adapter",
        "gradients",
        "optimizer",
        "activations",
        "logits",
        "allocated",
        "slack",
        "context",
    ]
    parts = found.parts
    assert sum(parts.get(name, 0) for name in memory.BREAKDOWN) == parts["allocated"]
    assert parts["allocated"] + parts["slack"] == found.expected_bytes < found.upper_bytes
    assert found.upper_bytes + parts["context"] == found.needed_bytes
    assert found.phases[found.peak_phase] == parts["allocated"] == max(found.phases.values())


def test_short_rows_take_less_than_their_limit() -> None:
    one = recipe(data=DataPart(max_length=4096))
    assert (
        memory.estimate(one, SMALL, cpu(), longest=300).expected_bytes
        < memory.estimate(one, SMALL, cpu()).expected_bytes
    )


@pytest.mark.parametrize(("free", "verdict"), [(16.0, "fits"), (1.6, "tight"), (0.5, "too big")])
def test_the_verdict_compares_with_what_is_free(free: float, verdict: str) -> None:
    found = memory.estimate(
        recipe(training=TrainingPart(gradient_checkpointing="no", micro_batch_size=2)),
        SMALL,
        cpu(free),
    )
    assert found.verdict == verdict, (found.expected_bytes / GIB, found.upper_bytes / GIB)


def test_the_reserve_counts_as_taken() -> None:
    machine = msgspec.structs.replace(cpu(16.0), reserve_bytes=15 * GIB)
    assert memory.estimate(recipe(), SMALL, machine).verdict != "fits"


@pytest.mark.parametrize("stored", [{"quant_method": "gptq", "bits": 4}, {"bits": 4}, "awq"])
def test_weights_that_are_stored_quantized_are_never_guessed(stored: object) -> None:
    model = msgspec.structs.replace(SMALL, config=SMOLLM2_135M | {"quantization_config": stored})
    found = memory.estimate(recipe("qlora"), model)
    assert (found.verdict, found.expected_bytes) == ("unknown", 0)
    assert "16-bit original" in found.advice[0]


def test_an_unknown_architecture_is_never_guessed() -> None:
    strange = ModelFacts(path="m", config=SMOLLM2_135M | {"model_type": "mamba"})
    found = memory.estimate(recipe(), strange, cpu())
    assert (found.verdict, found.expected_bytes, found.parts) == ("unknown", 0, {})


def test_without_a_machine_there_is_no_verdict() -> None:
    found = memory.estimate(recipe(), SMALL, None)
    assert found.verdict == "unknown"
    assert found.expected_bytes > 0


def test_checkpointing_is_chosen_where_nothing_else_fits() -> None:
    big = ModelFacts(path="m", config=SMOLLM2_1700M)
    one = recipe(data=DataPart(max_length=2048))
    assert not memory.checkpointing(one, big, card(24))
    assert memory.checkpointing(one, big, card(8))
    never = recipe(training=TrainingPart(gradient_checkpointing="no"))
    assert not memory.checkpointing(never, big, card(1))


def test_the_qlora_of_an_8b_model_fits_a_12_gb_card_and_its_full_fine_tuning_does_not() -> None:
    llama = ModelFacts(path="m", config=LLAMA_3_8B)
    assert memory.estimate(recipe("qlora"), llama, card(12)).verdict == "fits"
    full = memory.estimate(recipe("full"), llama, card(12))
    assert full.verdict == "too big"
    assert "QLoRA" in full.advice[0]
    assert "would fit" in full.advice[0]


lengths = st.integers(64, 4096)
methods: st.SearchStrategy[Method] = st.sampled_from(["full", "lora", "qlora"])


@given(methods, lengths, st.integers(1, 16), st.integers(1, 128))
def test_more_of_anything_never_takes_less(
    method: Method, length: int, rows: int, rank: int
) -> None:
    def expected(length: int, rows: int, rank: int) -> int:
        one = recipe(
            method,
            data=DataPart(max_length=length),
            lora=LoraPart(rank=rank),
            training=TrainingPart(micro_batch_size=rows, gradient_checkpointing="no"),
        )
        return memory.estimate(one, SMALL, cpu()).expected_bytes

    least = expected(length, rows, rank)
    assert least <= expected(length + 64, rows, rank)
    assert least <= expected(length, rows + 1, rank)
    assert least <= expected(length, rows, rank + 1)


@given(methods, lengths)
def test_checkpointing_never_takes_more(method: Method, length: int) -> None:
    def expected(asked: Any) -> int:
        training = TrainingPart(gradient_checkpointing=asked)
        one = recipe(method, data=DataPart(max_length=length), training=training)
        return memory.estimate(one, SMALL, cpu()).expected_bytes

    assert expected("yes") <= expected("no")


def test_an_estimate_takes_well_under_two_milliseconds() -> None:
    llama = ModelFacts(path="m", config=LLAMA_3_8B)
    spent = []
    for _ in range(50):
        start = time.process_time()
        memory.estimate(recipe("full"), llama, card(12))
        spent.append(time.process_time() - start)
    assert sorted(spent)[25] < 0.002


def test_a_measurement_on_this_machine_moves_the_estimate_and_narrows_its_bound() -> None:
    plain = memory.estimate(recipe(), SMALL, card(24))
    better = memory.estimate(recipe(), SMALL, card(24), calibration=1.25)
    assert better.expected_bytes == pytest.approx(1.25 * plain.expected_bytes, rel=1e-6)
    assert better.upper_bytes == pytest.approx(1.05 * better.expected_bytes, rel=1e-6)
    assert better.parts["allocated"] == plain.parts["allocated"]


def test_another_card_can_be_asked_for() -> None:
    small, large = card(6).gpus[0], card(48).gpus[0]
    both = Machine(gpus=(small, large), ram_free_bytes=1, card=1)
    assert memory.estimate(recipe(), SMALL, both).available_bytes == large.free_bytes
    assert memory.estimate(recipe(), SMALL, both, card=0).available_bytes == small.free_bytes


def test_what_was_assumed_is_said() -> None:
    ways = memory.Ways(attention="eager", logits="full")
    found = memory.estimate(recipe(), SMALL, card(24), ways=ways)
    assert found.assumed["attention"] == "eager"
    assert found.assumed["logits"] == "full"
    chunked = memory.estimate(recipe(), SMALL, card(24))
    assert chunked.parts["logits"] < found.parts["logits"]
    assert "attention" in found.parts


def test_every_phase_is_told_and_the_worst_is_the_peak() -> None:
    for method in ("full", "lora", "qlora"):
        found = memory.estimate(recipe(method), SMALL, card(24))
        assert tuple(found.phases) == PHASES
        assert all(found.phases.values())
        assert found.phases[found.peak_phase] == max(found.phases.values())
