"""Problems of a recipe in the window's words: its labels in place of the file's field names."""

from __future__ import annotations

import re

import msgspec

from studio.core.problem import Problem

LABELS = {
    "name": "Name of the run",
    "model": "Model",
    "dataset": "Dataset",
    "method": "Method",
    "data.max_length": "Longest row",
    "data.train_on": "Learn",
    "data.eval_share": "Held out",
    "data.packing": "Packing",
    "data.template": "Chat template",
    "data.system_prompt": "System prompt",
    "data.group_by": "Keep together by",
    "data.drop": "Leave out",
    "data.repair": "Mend",
    "lora.rank": "Rank",
    "lora.alpha": "Alpha",
    "lora.dropout": "Dropout",
    "lora.target_modules": "Target modules",
    "training.learning_rate": "Learning rate",
    "training.epochs": "Epochs",
    "training.batch_size": "Batch size",
    "training.micro_batch_size": "Micro-batch",
    "training.early_stopping_patience": "Stop early after",
    "training.keep_best": "Keep the best",
    "training.scheduler": "Schedule",
    "training.warmup_share": "Warm-up",
    "training.optimizer": "Optimizer",
    "training.weight_decay": "Weight decay",
    "training.max_grad_norm": "Clip gradients at",
    "training.gradient_checkpointing": "Gradient checkpointing",
    "training.offload_activations": "Activations in system memory",
    "training.optimizer_in_backward": "Update while going backward",
    "training.dtype": "Computes in",
    "training.base_precision": "Base held in",
    "training.max_steps": "Step limit",
    "training.eval_every": "Evaluate every",
    "training.save_every_minutes": "Save every",
    "training.keep_checkpoints": "Checkpoints kept",
    "training.on_trouble": "When training goes wrong",
    "training.seed": "Seed",
}
_SHORT = {path.split(".")[-1]: text for path, text in LABELS.items()}
_VALUES = {
    "lora": "LoRA",
    "qlora": "QLoRA",
    "full": "full fine-tuning",
    "auto": "Automatic",
    "all-linear": "All linear",
    "everything": "Every token",
    "false": "No",
    "true": "Yes",
    "adamw": "AdamW",
    "adamw_8bit": "AdamW, 8-bit",
    "paged_adamw": "AdamW, paged",
    "paged_adamw_8bit": "AdamW, 8-bit and paged",
}
_MISSING = {
    "model": ("No model is chosen.", "Choose one on the Model step."),
    "dataset": ("No dataset is chosen.", "Choose one on the Dataset step."),
}


def _any(names: set[str]) -> str:
    """A pattern for these names, the longest first."""
    return "(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + ")"


# plain words such as "rank" or "method" are names only where something is set
_FIELDS = re.compile(rf"\b{_any({*LABELS, *_SHORT} - {n for n in _SHORT if '_' not in n})}\b")
_SETS = re.compile(rf"\b([Ss]et|or) {_any(set(_SHORT))}(?= to )")
_USED = re.compile(rf"\b(to|as|of|or) {_any(set(_VALUES))}(?! fine-tuning)(?=[ ,.;])")


def label_of(field: str) -> str:
    """What the window calls a dotted field."""
    path = field.split("[")[0]
    last = path.split(".")[-1]
    return LABELS.get(path) or _SHORT.get(last) or last.replace("_", " ").capitalize()


def in_words(problem: Problem, missing: bool = False) -> Problem:
    """The problem in the window's words; `missing`: no model or dataset is chosen yet."""
    if missing and problem.field in _MISSING:
        text, fix = _MISSING[problem.field]
    else:
        text, fix = sentence(problem.text), sentence(problem.fix)
    return msgspec.structs.replace(problem, text=text, fix=fix)


def sentence(text: str) -> str:
    """Text written for a recipe's file, with the window's labels and choices."""
    text = re.sub(r"^“[a-z_.]+” must be", "Must be", text)
    text = re.sub(r", or leave “\w+” out for its default", "", text)
    text = text.replace("Leave it at 0 for", "Leave it empty for")
    text = text.replace("with “finetune-studio dataset FILE”", "on the Dataset step")
    text = re.sub(r"(\de-)0(\d)", r"\1\2", text)
    text = _USED.sub(lambda found: f"{found[1]} {_VALUES[found[2]]}", text)
    text = _SETS.sub(lambda found: f"{found[1]} {_SHORT[found[2]]}", text)
    return _FIELDS.sub(lambda found: LABELS.get(found[1]) or _SHORT[found[1]], text)
