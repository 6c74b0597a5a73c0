"""The recipe of most guides: transformers' Trainer with PEFT, every row padded to the longest."""

from __future__ import annotations

from typing import Any

import torch
from common import Clock, arguments, chats, load, read_plan, say
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, Trainer, TrainingArguments


def encoded(tokenizer: Any, chat: list[dict[str, str]], longest: int) -> dict[str, list[int]]:
    """Ids, labels of the answer alone and mask, all padded to `longest`."""
    before = tokenizer.apply_chat_template(chat[:-1], add_generation_prompt=True, return_dict=False)
    ids = tokenizer.apply_chat_template(chat, return_dict=False)[:longest]
    missing = longest - len(ids)
    answer = ids[len(before) :]
    return {
        "input_ids": ids + [tokenizer.pad_token_id or 0] * missing,
        "labels": [-100] * len(before) + answer + [-100] * missing,
        "attention_mask": [1] * len(ids) + [0] * missing,
    }


def stacked(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}


def main() -> None:
    plan = read_plan()
    tokenizer = AutoTokenizer.from_pretrained(plan.model)
    model = load(plan)
    if plan.method != "full":
        lora = LoraConfig(
            r=plan.rank,
            lora_alpha=plan.alpha,
            lora_dropout=plan.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(model, lora)
    rows = [encoded(tokenizer, chat, plan.longest) for chat in chats(plan.train)]
    clock = Clock()
    wanted = TrainingArguments(**arguments(plan), use_cpu=not torch.cuda.is_available())
    Trainer(model, wanted, stacked, rows, callbacks=[clock]).train()
    say(plan, clock, model)


main()
