"""What the peers' scripts share. Runs in their environments: standard library and theirs only."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback


def read_plan() -> Any:
    """The plan that the harness wrote, with the threads set that it asks for."""
    plan = SimpleNamespace(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    torch.set_num_threads(plan.threads)
    return plan


def chats(path: str) -> list[list[dict[str, str]]]:
    """The messages of each row."""
    lines = Path(path).read_text("utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def load(plan: Any) -> Any:
    """The model in bfloat16, on NF4 weights for QLoRA."""
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    wanted = {"quantization_config": nf4} if plan.method == "qlora" else {}
    dtype = torch.float32 if plan.method == "full" else torch.bfloat16
    return AutoModelForCausalLM.from_pretrained(plan.model, dtype=dtype, **wanted)


def arguments(plan: Any) -> dict[str, Any]:
    """Of transformers' Trainer and its heirs."""
    return {
        "output_dir": plan.out,
        "max_steps": plan.steps,
        "per_device_train_batch_size": plan.micro,
        "gradient_accumulation_steps": plan.batch // plan.micro,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "linear",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": plan.seed,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }


class Clock(TrainerCallback):  # type: ignore[misc]
    """Times the steps; loading before them and saving behind them don't count."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = self.began or time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended = time.perf_counter()


def say(plan: Any, clock: Clock, model: Any) -> None:
    """Leave what was learnt and how long it took where the harness looks."""
    if model is not None:
        model.save_pretrained(plan.out)
    found = {"train_seconds": clock.ended - clock.began}
    (Path(plan.out) / "turn.json").write_text(json.dumps(found), "utf-8")
