"""Every method learns, and learns what transformers' Trainer with PEFT learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, PreTrainedModel, Trainer, TrainingArguments

from studio.core import events as ev
from studio.core.recipe import Recipe
from studio.engine import load, setup, train
from studio.engine.data import Rows, Steps
from studio.engine.setup import Setup
from studio.engine.tasks.causal_lm import pad
from studio.library import adapters
from studio.library.folders import Home
from tests.engine.making import context_of, eval_losses, losses, padded, recipe, run_folder, said

METHODS = {
    "full": {"method": "full", "learning_rate": 2e-3},
    "full-pure-bf16": {"method": "full", "dtype": "bfloat16", "base_precision": "16"},
    "full-bf16": {"method": "full", "dtype": "bfloat16"},
    "lora-fp32": {"method": "lora"},
    "lora-bf16": {"method": "lora", "dtype": "bfloat16"},
    "lora-8bit": {"method": "lora", "dtype": "bfloat16", "base_precision": "8"},
    "qlora": {"method": "qlora", "dtype": "bfloat16"},
    "qlora-fp32": {"method": "qlora"},
    "checkpointed": {"method": "lora", "gradient_checkpointing": "yes"},
    "padded": {"method": "lora"},
}


@pytest.mark.parametrize("name", METHODS)
def test_loss_on_held_out_rows_falls(home: Home, tiny_model: Path, name: str) -> None:
    wanted = recipe(tiny_model, epochs=4, **METHODS[name])
    if name == "padded":
        wanted = padded(wanted)
    folder = run_folder(home, wanted)
    train.run(context_of(home, folder))
    course = eval_losses(folder)
    assert course[-1] < course[0] - 0.3  # type: ignore[operator]
    result = said(folder, ev.Finished)[0].result
    assert result["eval_loss"] == min(course)  # type: ignore[type-var]
    assert result["steps"] == 20
    decided = said(folder, ev.Started)[-1].decided
    assert decided["packing"] == (name != "padded")
    assert decided["gradient_checkpointing"] == (name == "checkpointed")


OPTIMIZERS = ["adamw_8bit", "paged_adamw_8bit", "paged_adamw", "adafactor"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(home: Home, tiny_model: Path, optimizer: str) -> None:
    folder = run_folder(home, recipe(tiny_model, optimizer=optimizer, max_steps=10))
    train.run(context_of(home, folder))
    course = eval_losses(folder)
    assert course[-1] < course[0]  # type: ignore[operator]


TRAINER = {
    "full": {"method": "full", "learning_rate": 1e-3, "weight_decay": 0.1},
    "lora": {"method": "lora", "max_grad_norm": 0.5},
    "qlora": {"method": "qlora", "scheduler": "linear"},
}


@pytest.mark.parametrize("name", TRAINER)
def test_loss_curve_equals_transformers_trainer(
    home: Home, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    wanted = recipe(tiny_model, micro_batch_size=4, max_steps=10, warmup_share=0.2, **TRAINER[name])
    folder = run_folder(home, wanted, evaluate=0)
    train.run(context_of(home, folder))
    log = trainer_log(tiny_model, wanted, Rows.open(folder / "data" / "train.arrow"), tmp_path)
    steps = said(folder, ev.Step)
    assert losses(folder) == pytest.approx([row["loss"] for row in log], rel=2e-4)
    assert [s.metrics["grad_norm"] for s in steps] == pytest.approx(
        [row["grad_norm"] for row in log], rel=2e-3
    )
    assert [s.metrics["learning_rate"] for s in steps] == pytest.approx(
        [row["learning_rate"] for row in log]
    )
    assert losses(folder)[0] > losses(folder)[-1] + 0.2  # type: ignore[operator]


def trainer_log(model: Path, wanted: Recipe, rows: Rows, out: Path) -> list[dict[str, float]]:
    """What transformers' Trainer logs at each step, fed the rows in our order, plainly padded."""
    setup._seed(wanted.training.seed)
    steps = Steps.plan(len(rows), wanted.training)
    trainer = Fed(
        model=reference_model(model, wanted),
        args=TrainingArguments(
            str(out / "trainer"),
            max_steps=steps.total,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=wanted.training.learning_rate,
            lr_scheduler_type=wanted.training.scheduler,
            warmup_steps=2,
            weight_decay=wanted.training.weight_decay,
            max_grad_norm=wanted.training.max_grad_norm,
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            seed=wanted.training.seed,
        ),
    )
    trainer.batches = [micro for step in range(steps.total) for micro in halves(rows, steps, step)]
    trainer.train()
    return [row for row in trainer.state.log_history if "grad_norm" in row]


class Fed(Trainer):
    """A Trainer that takes the micro-batches it is given."""

    batches: list[dict[str, torch.Tensor]]

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]


def halves(rows: Rows, steps: Steps, step: int) -> Iterator[dict[str, torch.Tensor]]:
    chosen = [rows[index] for index in steps.of(step)]
    for half in (chosen[:4], chosen[4:]):
        batch = pad(half, 2)
        width = batch.input_ids.shape[1]
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in half])
        yield {"input_ids": batch.input_ids, "labels": batch.labels, "attention_mask": mask}


def reference_model(folder: Path, wanted: Recipe) -> PreTrainedModel | PeftModel:
    if wanted.method == "full":
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    base = load.load_model(folder, torch.float32, bits=4 if wanted.method == "qlora" else 32)
    config = LoraConfig(
        r=wanted.lora.rank,
        lora_alpha=wanted.lora.alpha,  # type: ignore[arg-type]
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)  # type: ignore[return-value]


def test_adapter_loads_with_plain_peft_and_answers_alike(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=6))
    context = context_of(home, folder)
    train.run(context)
    result = said(folder, ev.Finished)[0].result
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    ids = torch.arange(4, 30)[None]
    with torch.no_grad():
        bare = base(input_ids=ids).logits
        plain = PeftModel.from_pretrained(base, result["adapter"]).eval()
        got = plain(input_ids=ids).logits
    assert not torch.allclose(got, bare, atol=1e-2)
    live = continued(context)
    with torch.no_grad():
        torch.testing.assert_close(live.model.eval()(input_ids=ids).logits, got)
    facts = adapters.facts(Path(result["adapter"]))
    assert (facts.method, facts.rank, facts.run) == ("lora", 8, folder.name)
    card = (Path(result["adapter"]) / "README.md").read_text("utf-8")
    assert "40 rows to learn from, 12 held out" in card
    assert f"{result['eval_loss']:.4f}" in card


def continued(context: Any) -> Setup:
    """The run's own model with the adapter of its folder, as the engine had it at the end."""
    ready = setup.make(context, train.Control(context.channel))
    assert isinstance(ready.model, PeftModel)
    saved = load_file(context.folder.adapter / "adapter_model.safetensors")
    set_peft_model_state_dict(ready.model, saved)
    return ready


def test_full_fine_tuning_publishes_a_model_folder(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, "full", max_steps=5, learning_rate=1e-3)
    folder = run_folder(home, wanted)
    train.run(context_of(home, folder))
    result = said(folder, ev.Finished)[0].result
    assert result["adapter"] is None
    made = Path(result["model"])
    assert made.parent == home.models
    model = load.load_model(made)
    assert model.dtype == torch.float32
    tokenizer = load.load_tokenizer(made)
    assert tokenizer.chat_template == load.load_tokenizer(tiny_model).chat_template
    assert (made / "generation_config.json").exists()
    assert "library_name: transformers" in (made / "README.md").read_text("utf-8")
    base = load.load_model(tiny_model)
    assert not torch.equal(model.model.embed_tokens.weight, base.model.embed_tokens.weight)


@pytest.mark.filterwarnings("ignore:bitsandbytes..gemv_4bit:UserWarning")
def test_gradients_survive_an_evaluation_of_a_4_bit_model(tiny_model: Path) -> None:
    """On processors with AVX512-BF16 bitsandbytes repacks 4-bit weights in evaluation mode, and
    gradients below are zero from then on. Elsewhere only the switch itself can be looked at."""
    from bitsandbytes.functional import has_avx512bf16
    from bitsandbytes.nn import Linear4bit

    model = load.load_model(tiny_model, torch.bfloat16, bits=4)
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 14
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    assert not isinstance(model.get_output_embeddings(), Linear4bit)

    torch.manual_seed(0)
    adapted = get_peft_model(
        model,
        LoraConfig(target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    before = first_layer_gradient(adapted)
    adapted.eval()
    with torch.no_grad():
        adapted(input_ids=torch.arange(4, 40)[None])
    assert first_layer_gradient(adapted) == before > 0
    if not has_avx512bf16():
        pytest.skip("this processor lacks AVX512-BF16: the switch is asserted, the fault can't be")
    for layer in layers:
        layer.support_avx512bf16_for_cpu = True
    adapted.eval()
    with torch.no_grad():
        adapted(input_ids=torch.arange(4, 40)[None])
    assert first_layer_gradient(adapted) != before, "the fault is gone: the switch may go too"


def first_layer_gradient(model: Any) -> float:
    model.train()
    model.zero_grad()
    ids = torch.arange(4, 40)[None]
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    grads = [
        weight.grad.norm() ** 2
        for name, weight in model.named_parameters()
        if "layers.0." in name and weight.grad is not None
    ]
    return float(torch.stack(grads).sum().sqrt())
