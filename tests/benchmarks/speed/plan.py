"""What every contestant is to do: the same model, rows, seed, threads and optimizer steps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Method = Literal["lora", "qlora", "full"]
RATES: dict[Method, float] = {"lora": 2e-4, "qlora": 2e-4, "full": 2e-5}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Handed to each contestant as JSON. Rows are JSON lines of `messages`; a step learns
    `batch` rows, of which the plain ways take `micro` at a time. `longest` is in tokens."""

    model: str
    train: str
    held_out: str
    out: str = ""
    method: Method = "lora"
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    steps: int = 3
    batch: int = 16
    micro: int = 2
    learning_rate: float = 2e-4
    longest: int = 512
    seed: int = 42
    threads: int = 2


class Done(msgspec.Struct, kw_only=True):
    """One contestant's turn. Seconds of the training loop without loading, evaluating and saving;
    of the whole process; peak resident bytes of the process; mean loss of a held-out token."""

    name: str
    train_seconds: float
    wall_seconds: float
    peak_bytes: int
    tokens: int
    eval_loss: float | None = None
    result: str = ""

    @property
    def speed(self) -> float:
        """Real tokens, padding aside, a second."""
        return self.tokens / self.train_seconds


def write(plan: Plan, path: Path) -> Path:
    """The plan where a contestant reads it."""
    path.write_bytes(msgspec.json.encode(plan))
    return path
