"""LLaMA-Factory at its defaults, set up as its own examples are."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from pathlib import Path

# It imports torchaudio, which it needs for sound alone and which has no build for every torch.
try:
    import torchaudio  # type: ignore[import-not-found]  # noqa: F401
except (ImportError, OSError):
    stand_in = types.ModuleType("torchaudio")
    stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stand_in

import torch
from common import Clock, arguments, chats, read_plan, say
from llamafactory.train.tuner import run_exp  # type: ignore[import-not-found]

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def main() -> None:
    plan = read_plan()
    folder = Path(plan.out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"messages": chat} for chat in chats(plan.train)]
    (folder / "rows.json").write_text(json.dumps(rows), "utf-8")
    about = {"file_name": "rows.json", "formatting": "sharegpt", "tags": TAGS}
    about["columns"] = {"messages": "messages"}
    (folder / "dataset_info.json").write_text(json.dumps({"rows": about}), "utf-8")
    method = {"finetuning_type": "full"} if plan.method == "full" else {
        "finetuning_type": "lora",
        "lora_target": "all",
        "lora_rank": plan.rank,
        "lora_alpha": plan.alpha,
        "lora_dropout": plan.dropout,
    }  # fmt: skip
    if plan.method == "qlora":
        method |= {"quantization_bit": 4, "quantization_method": "bnb"}
    clock = Clock()
    wanted = arguments(plan) | method | {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": plan.model,
        "dataset": "rows",
        "dataset_dir": str(folder),
        "template": "smollm2",
        "bf16": True,
        "use_cpu": not torch.cuda.is_available(),
        "overwrite_output_dir": True,
        "report_to": "none",
    }  # fmt: skip
    run_exp(wanted, callbacks=[clock])
    say(plan, clock, None)


main()
