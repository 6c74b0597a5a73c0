"""The mean loss of an answer's token on the held-out rows: one code for every contestant.

Run as `python -m tests.benchmarks.speed.held_out PLAN RESULT`; prints the number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy


def loss(model_path: str, rows: Path, result: str, method: str, longest: int) -> float:
    """In float32, row by row, without padding."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_path)
    place = result if method == "full" else model_path
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    if method != "full":
        model = PeftModel.from_pretrained(model, result)
    model.eval()
    total, count = 0.0, 0
    for line in rows.read_text("utf-8").splitlines():
        chat = json.loads(line)["messages"]
        before = tokenizer.apply_chat_template(
            chat[:-1], add_generation_prompt=True, return_dict=False
        )
        ids = torch.tensor([tokenizer.apply_chat_template(chat, return_dict=False)[:longest]])
        first = len(before)
        with torch.inference_mode():
            logits = model(ids).logits[0, first - 1 : -1]
            total += float(cross_entropy(logits, ids[0, first:], reduction="sum"))
        count += ids.shape[1] - first
    return total / count


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    torch.set_num_threads(plan["threads"])
    rows = Path(plan["held_out"])
    print(loss(plan["model"], rows, sys.argv[2], plan["method"], plan["longest"]))


if __name__ == "__main__":
    main()
