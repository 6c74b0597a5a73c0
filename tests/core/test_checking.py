"""A recipe against machine, model and rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from studio.core.facts import DatasetReport, Gpu, Machine, ModelFacts
from studio.core.problem import Problem
from studio.core.problems import check
from studio.core.recipe import DataPart, DatasetPart, LoraPart, ModelPart, Recipe, TrainingPart

GIB = 1 << 30
LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
MODULES = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
MODEL = ModelFacts(
    path="m",
    config=LLAMA_8B,
    parameters=8_030_261_248,
    context_length=8192,
    linear_modules=MODULES,
)
ROWS = DatasetReport(
    path="d",
    format="messages",
    confidence=1.0,
    rows=5000,
    usable_rows=5000,
    tokens=500_000,
    trained_tokens=300_000,
    max_tokens=400,
)
CPU = Machine(cpu="CPU", cores=8, ram_total_bytes=256 * GIB, ram_free_bytes=240 * GIB)


def card(gib: float = 80.0, capability: tuple[int, int] = (8, 0)) -> Machine:
    total = int(gib * GIB)
    gpu = Gpu(
        index=0,
        name="Card",
        total_bytes=total,
        used_bytes=0,
        free_bytes=total,
        compute_capability=capability,
    )
    return Machine(gpus=(gpu,), ram_total_bytes=64 * GIB, disk_free_bytes=900 * GIB)


def recipe(**changes: Any) -> Recipe:
    whole = Recipe(model=ModelPart(path="m"), dataset=(DatasetPart(path="d"),))
    return msgspec.structs.replace(whole, **changes)


def found(
    recipe: Recipe,
    machine: Machine | None = None,
    model: ModelFacts | None = MODEL,
    rows: DatasetReport | None = ROWS,
) -> dict[str, Problem]:
    return {problem.field: problem for problem in check(recipe, machine or card(), model, rows)}


def test_a_sound_recipe_has_no_problem() -> None:
    assert found(recipe()) == {}


def test_nothing_known_is_nothing_judged() -> None:
    assert check(recipe(), None, None, None) == []


@pytest.mark.parametrize(
    ("rate", "method", "severity"),
    [
        (3e-3, "lora", "warning"),
        (1e-3, "full", "warning"),
        (1e-8, "qlora", "warning"),
        (3.0, "lora", "error"),
        (0.0, "lora", None),
        (2e-4, "lora", None),
    ],
)
def test_a_learning_rate_outside_the_usual(rate: float, method: Any, severity: str | None) -> None:
    model = None if method == "full" else MODEL
    one = recipe(method=method, training=TrainingPart(learning_rate=rate))
    problem = found(one, model=model).get("training.learning_rate")
    assert (problem.severity if problem else None) == severity


@pytest.mark.parametrize(
    ("training", "field"),
    [
        (TrainingPart(micro_batch_size=32, batch_size=16), "training.micro_batch_size"),
        (TrainingPart(micro_batch_size=5, batch_size=16), "training.micro_batch_size"),
    ],
)
def test_batches_that_do_not_divide(training: TrainingPart, field: str) -> None:
    assert field in found(recipe(training=training))


def test_early_stopping_without_held_out_rows() -> None:
    one = recipe(data=DataPart(eval_share=0.0), training=TrainingPart(early_stopping_patience=2))
    assert found(one)["training.early_stopping_patience"].severity == "error"


def test_targets_that_the_model_lacks_name_the_real_ones() -> None:
    one = recipe(lora=LoraPart(target_modules=("q_proj", "query_key_value")))
    problem = found(one)["lora.target_modules"]
    assert problem.severity == "error"
    assert "query_key_value" in problem.text
    assert "q_proj" not in problem.text
    assert all(name in problem.fix for name in MODULES)


def test_no_target_at_all() -> None:
    assert "lora.target_modules" in found(recipe(lora=LoraPart(target_modules=())))


def test_an_alpha_far_from_the_rank() -> None:
    assert "lora.alpha" in found(recipe(lora=LoraPart(rank=4, alpha=256)))


def test_eight_bits_cannot_be_trained_in_full() -> None:
    one = recipe(method="full", training=TrainingPart(base_precision="8"))
    assert found(one, model=None)["training.base_precision"].severity == "error"


def test_bf16_on_a_card_without_it() -> None:
    one = recipe(training=TrainingPart(dtype="bfloat16"))
    assert found(one, card(80, (7, 5)))["training.dtype"].severity == "warning"
    assert "training.dtype" not in found(one, card(80, (8, 6)))


def test_bf16_on_a_processor_without_it() -> None:
    one = recipe(training=TrainingPart(dtype="bfloat16"))
    assert found(one, CPU)["training.dtype"].severity == "warning"
    able = msgspec.structs.replace(CPU, bf16_cpu=True)
    assert "training.dtype" not in found(one, able)


@pytest.mark.parametrize(("capability", "refused"), [((5, 2), True), ((6, 1), False)])
def test_qlora_on_an_old_card(capability: tuple[int, int], refused: bool) -> None:
    assert ("method" in found(recipe(method="qlora"), card(80, capability))) == refused


def test_qlora_on_a_tiny_model_is_a_remark() -> None:
    tiny = msgspec.structs.replace(MODEL, parameters=135_000_000)
    problem = found(recipe(method="qlora"), model=tiny)["method"]
    assert problem.severity == "info"


def test_what_only_a_card_can_do_is_said_on_a_cpu() -> None:
    one = recipe(
        lora=LoraPart(dropout=0.1),
        training=TrainingPart(dtype="float16", optimizer="paged_adamw_8bit"),
    )
    problems = found(one, CPU)
    assert problems["training.dtype"].severity == "warning"
    assert problems["training.optimizer"].severity == "info"
    assert problems["lora.dropout"].severity == "info"


def test_full_fine_tuning_that_can_not_fit_blocks() -> None:
    problem = found(recipe(method="full"), card(24))["method"]
    assert problem.severity == "error"
    assert "estimated" in problem.text
    assert "LoRA" in problem.fix


def test_a_run_that_only_lacks_free_memory_warns() -> None:
    busy = card(24)
    gpu = msgspec.structs.replace(busy.gpus[0], free_bytes=6 * GIB)
    machine = msgspec.structs.replace(busy, gpus=(gpu,))
    assert found(recipe(), machine)["method"].severity == "warning"


def test_a_disk_too_small_for_checkpoints() -> None:
    machine = msgspec.structs.replace(card(200), disk_free_bytes=GIB)
    texts = [p.text for p in check(recipe(method="full"), machine, MODEL, ROWS)]
    assert any("disk" in text for text in texts)


def test_problems_of_the_model_are_passed_on() -> None:
    broken = msgspec.structs.replace(MODEL, problems=(Problem(field="weights", text="Torn."),))
    assert found(recipe(), model=broken)["model"].text == "Torn."


@pytest.mark.parametrize(("longest", "severity"), [(400, "warning"), (9000, "error")])
def test_a_length_beyond_the_context(longest: int, severity: str) -> None:
    rows = msgspec.structs.replace(ROWS, max_tokens=longest)
    problem = found(recipe(data=DataPart(max_length=16384)), rows=rows)["data.max_length"]
    assert problem.severity == severity


def test_every_token_masked() -> None:
    rows = msgspec.structs.replace(ROWS, trained_tokens=0)
    assert found(recipe(), rows=rows)["data.train_on"].severity == "error"


def test_no_usable_row() -> None:
    rows = msgspec.structs.replace(ROWS, usable_rows=0)
    assert found(recipe(), rows=rows)["dataset"].severity == "error"


def test_few_rows_that_never_fill_a_batch() -> None:
    rows = msgspec.structs.replace(ROWS, usable_rows=9)
    problems = found(recipe(), rows=rows)
    assert set(problems) >= {"dataset", "training.batch_size", "data.eval_share"}
    assert all(problem.severity == "warning" for problem in problems.values())


@pytest.mark.parametrize(("patience", "warned"), [(0, True), (2, False)])
def test_many_epochs_over_a_small_set(patience: int, warned: bool) -> None:
    rows = msgspec.structs.replace(ROWS, usable_rows=300)
    one = recipe(training=TrainingPart(epochs=10, early_stopping_patience=patience))
    assert ("training.epochs" in found(one, rows=rows)) == warned


def test_errors_come_first() -> None:
    one = recipe(
        training=TrainingPart(learning_rate=5e-3, micro_batch_size=99),
        lora=LoraPart(target_modules=("nope",)),
    )
    severities = [problem.severity for problem in check(one, card(), MODEL, ROWS)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert severities[0] == "error"
