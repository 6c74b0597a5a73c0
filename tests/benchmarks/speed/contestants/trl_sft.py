"""TRL's SFTTrainer: as it comes, or (second argument "tuned") as somebody who knows it sets it."""

from __future__ import annotations

import sys
from typing import Any

import torch
from common import Clock, arguments, chats, load, read_plan, say
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

TUNED: dict[str, Any] = {
    "gradient_checkpointing": False,
    "train_sampling_strategy": "group_by_length",
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4,
}
"""Its loss is chunked by itself. Grouping, not packing: with packing a step would have other
rows, and on a processor long packs are slower."""


def main() -> None:
    plan = read_plan()
    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(plan.model)
    rows = [{"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats(plan.train)]
    lora = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    tuned = TUNED if sys.argv[2] == "tuned" else {}
    if tuned and plan.batch % 4:
        tuned = tuned | {
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": plan.batch,
        }
    wanted = SFTConfig(
        **{**arguments(plan), **tuned},
        use_cpu=not torch.cuda.is_available(),
        max_length=max(plan.longest, 1024) if not tuned else plan.longest,
    )
    clock = Clock()
    trainer = SFTTrainer(
        load(plan),
        args=wanted,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=None if plan.method == "full" else lora,
        callbacks=[clock],
    )
    trainer.train()
    say(plan, clock, trainer.model)


main()
