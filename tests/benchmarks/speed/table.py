"""What the turns say: medians, ratios, and which numbers that were asked for are reached."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.speed.plan import Done, Method

Wanted = tuple[float | None, float | None]
# peer -> at least so many times its speed, at most so much of its memory
TARGETS: dict[str, Wanted] = {
    "plain": (5.0, 0.6),
    "trl": (4.0, 0.8),
    "llama-factory": (3.5, 0.8),
    "trl-tuned": (2.0, 1.0),
}
WITHOUT_DROPOUT: Wanted = (7.0, 0.6)
LARGE_VOCABULARY: Wanted = (5.0, 0.5)
QLORA: Wanted = (4.0, 0.5)
LOW_MEMORY: Wanted = (0.6, 0.5)
FLOOR = 2.5
LOSS_SHARE = 0.01


def summary(turns: Sequence[Done], floor: dict[str, float]) -> dict[str, Any]:
    """Medians of each contestant; the floor's ratio is against the quicker format."""
    found = {}
    for name in dict.fromkeys(turn.name for turn in turns):
        own = [turn for turn in turns if turn.name == name]
        speed = statistics.median(turn.speed for turn in own)
        losses = [turn.eval_loss for turn in own if turn.eval_loss is not None]
        found[name] = {
            "turns": len(own),
            "tokens_per_second": speed,
            "slowest": min(turn.speed for turn in own),
            "fastest": max(turn.speed for turn in own),
            "peak_bytes": statistics.median(turn.peak_bytes for turn in own),
            "eval_loss": statistics.median(losses) if losses else None,
            "wall_seconds": statistics.median(turn.wall_seconds for turn in own),
            "times_the_matrix_products": 1 / speed / min(floor.values()),
        }
    return found


def target(peer: str, method: Method, dropout: float, vocabulary: int) -> Wanted:
    """What the studio is to reach against this peer; None where nothing was asked."""
    if method == "full":
        return None, None
    if method == "qlora":
        return QLORA if peer == "plain" else (None, None)
    if peer == "plain" and vocabulary:
        return LARGE_VOCABULARY
    if peer == "plain" and not dropout:
        return WITHOUT_DROPOUT
    return TARGETS.get(peer, (None, None))


def lines(found: dict[str, Any], method: Method, dropout: float, vocabulary: int) -> list[str]:
    """The table as text."""
    told = [
        f"{'':18}{'tokens/s':>9}{'range':>14}{'peak GB':>9}{'loss':>8}{'x floor':>9}{'wall s':>8}"
    ]
    told += [_row(name, row) for name, row in found.items()]
    ours = found.get("ours")
    if not ours:
        return told
    told += ["", f"{'ours against':18}{'speed':>9}{'asked':>9}{'memory':>9}{'asked':>9}{'loss':>9}"]
    for name, row in found.items():
        if name == "ours-low-memory":
            wanted = f"{'>= 0.60':>9}{_ratio(row, ours, 'peak_bytes'):9.2f}{'<= 0.50':>9}"
            told.append(f"{'low memory/fast':18}{_ratio(row, ours):9.2f}{wanted}{_loss(row, ours)}")
        elif name != "ours":
            told.append(_against(name, ours, row, target(name, method, dropout, vocabulary)))
    times = ours["times_the_matrix_products"]
    told.append(f"{'matrix products':18}{times:9.2f}{f'<= {FLOOR}':>9}")
    return told


def _row(name: str, row: dict[str, Any]) -> str:
    spread = f"{row['slowest']:.0f}-{row['fastest']:.0f}"
    loss = f"{row['eval_loss']:8.4f}" if row["eval_loss"] is not None else f"{'-':>8}"
    return (
        f"{name:18}{row['tokens_per_second']:9.1f}{spread:>14}{row['peak_bytes'] / 1e9:9.2f}{loss}"
        f"{row['times_the_matrix_products']:9.2f}{row['wall_seconds']:8.1f}"
    )


def _against(name: str, ours: dict[str, Any], row: dict[str, Any], wanted: Wanted) -> str:
    faster, leaner = wanted
    speed, memory = _ratio(ours, row), _ratio(ours, row, "peak_bytes")
    asked_speed = f">= {faster}" if faster else "-"
    asked_memory = f"<= {leaner}" if leaner else "-"
    short = (faster and speed < faster) or (leaner and memory > leaner)
    text = f"{name:18}{speed:9.2f}{asked_speed:>9}{memory:9.2f}{asked_memory:>9}{_loss(ours, row)}"
    return f"{text}{'  SHORT' if short else ''}"


def _ratio(one: dict[str, Any], other: dict[str, Any], what: str = "tokens_per_second") -> float:
    return float(one[what]) / float(other[what])


def _loss(one: dict[str, Any], other: dict[str, Any]) -> str:
    """By how much the first's loss is larger; marked where that is more than 1 %."""
    if one["eval_loss"] is None or other["eval_loss"] is None:
        return f"{'-':>9}"
    more = one["eval_loss"] / other["eval_loss"] - 1
    return f"{more:+9.2%}{' (!)' if more > LOSS_SHARE else ''}"
