"""The studio beside its peers: speed, memory and loss, in one run of this harness.

    python -m tests.benchmarks.speed [--method qlora] [--dropout 0] [--vocabulary 150000]

Each contestant trains the same rows for the same steps, alone, in turn; medians are printed
beside what was asked for. Peers are installed into environments of their own (--peers).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import psutil

from studio.client.keeper import quit_keeper
from studio.library.folders import Home
from tests.benchmarks.speed import material, table
from tests.benchmarks.speed.contest import OURS, Contest
from tests.benchmarks.speed.peers import PEERS, cache
from tests.benchmarks.speed.plan import RATES, Plan
from tests.conftest import STARTER

FASTEST = ("plain", "ours")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="a Llama-like model's folder; the starter")
    parser.add_argument("--method", choices=list(RATES), default="lora")
    parser.add_argument("--dropout", type=float, default=0.05, help="of the adapter")
    parser.add_argument("--vocabulary", type=int, default=0, help="random weights with so large a")
    parser.add_argument("--rows-tokens", type=int, default=180, help="mean length of a row")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="rows of a step")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", help="contestants, by commas: ours, " + ", ".join(PEERS))
    parser.add_argument("--low-memory", action="store_true", help="ours against ours, leaner")
    parser.add_argument("--training", default="{}", help="more of our recipe, as JSON")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--quick", action="store_true", help="one round of one step of 4 rows")
    parser.add_argument("--peers", type=Path, default=cache(), help="where environments are kept")
    parser.add_argument("--json", type=Path, help="write all of it here")
    return parser.parse_args()


def contestants(chosen: argparse.Namespace) -> list[str]:
    """Who takes part, in the order of their turns."""
    if chosen.only:
        return [name.strip() for name in chosen.only.split(",")]
    if chosen.low_memory:
        return list(OURS)
    usual = chosen.method == "lora" and not chosen.vocabulary and chosen.dropout
    return [*PEERS, "ours"] if usual else list(FASTEST)


def plan_of(chosen: argparse.Namespace, folder: Path) -> Plan:
    """Writes the rows and, where one is to be made, the model."""
    cached = os.environ.get("FINETUNE_STUDIO_TEST_CACHE", ".venv/test-cache")
    model: Path = chosen.model or Path(cached) / "home" / "models" / STARTER
    if not (model / "config.json").exists():
        raise SystemExit(f"No model at {model}: say --model, or download the starter first.")
    if chosen.vocabulary:
        model = material.random_model(model.absolute(), chosen.vocabulary, folder / "random")
    longest = 512 if chosen.rows_tokens <= 256 else 1 << (2 * chosen.rows_tokens - 1).bit_length()
    count, mean = chosen.steps * chosen.batch, chosen.rows_tokens
    train = material.rows(count, mean, longest, seed=1)
    held_out = material.rows(material.HELD_OUT_ROWS if count > 8 else 2, mean, longest, seed=2)
    return Plan(
        model=str(model.absolute()),
        train=str(material.write_rows(folder / "train.jsonl", train)),
        held_out=str(material.write_rows(folder / "held-out.jsonl", held_out)),
        method=chosen.method,
        dropout=chosen.dropout,
        steps=chosen.steps,
        batch=chosen.batch,
        learning_rate=RATES[chosen.method],
        longest=longest,
        threads=chosen.threads,
    )


def compete(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All turns, and what they say."""
    plan = plan_of(chosen, folder)
    model, rows = Path(plan.model), Path(plan.train)
    tokens, answers = material.tokens_of(rows, model, plan.longest)
    contest = Contest(plan, folder, chosen.peers, tokens)
    contest.training = json.loads(chosen.training)
    print(f"{plan.steps} steps of {plan.batch} rows, {tokens} tokens, {plan.threads} threads")
    turns = []
    for done in contest.turns(contestants(chosen), chosen.repeat):
        turns.append(done)
        print(
            f"  {done.name:18}{done.speed:9.1f} tokens/s {done.peak_bytes / 1e9:6.2f} GB"
            f"  loss {done.eval_loss:.4f}  {done.wall_seconds:6.1f} s",
            flush=True,
        )
    floor = contest.floor(answers / tokens)
    return {
        "plan": msgspec.to_builtins(plan),
        "floor_seconds_per_token": floor,
        "summary": table.summary(turns, floor),
        "turns": msgspec.to_builtins(turns),
    }


def main() -> None:
    chosen = options()
    if chosen.quick:
        chosen.steps, chosen.batch, chosen.repeat = 1, 4, 1
    with tempfile.TemporaryDirectory(prefix="speed-") as name:
        try:
            found = compete(chosen, Path(name))
        finally:
            quit_keeper(Home(Path(name) / "home"))
    rows = table.lines(found["summary"], chosen.method, chosen.dropout, chosen.vocabulary)
    print("\n".join(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
