"""Runs every path of the engine on this machine's card and prints one JSON of what it measured.

    python -m tests.gpu.verify [--minutes 30] [--sizes starter,1b,8b] [--out verified.json]

Needs torch, transformers, peft, bitsandbytes and what the engine needs besides, no Qt. Each case
has a process of its own: what fails or runs out of memory is recorded, and the rest goes on.
Without a card it goes through what a processor can do, on small shapes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import torch

from studio.library.folders import Home
from tests.gpu import cases, shapes
from tests.gpu.cases import Case

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "flash-attn", "triton")
ONLY_ON_A_CARD = ("flash_attention_2", "flex_attention")
TOLD = 2000  # last characters of what a failed case printed


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        found["card"] = {
            "name": card.name,
            "bytes": card.total_memory,
            "capability": [card.major, card.minor],
            "cuda": torch.version.cuda,
        }
    return found


def unfit(case: Case) -> str:
    """Why this machine can't do it; empty where it can."""
    if torch.cuda.is_available():
        return ""
    if case.size in ("1b", "8b"):
        return "needs a card"
    return "needs a card" if case.attention in ONLY_ON_A_CARD else ""


def verify(case: Case, model: Path, home: Path, seconds: float) -> dict[str, Any]:
    """What one case gave, or how it failed."""
    words = [str(home), str(model), msgspec.json.encode(case).decode()]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.gpu.one", *words],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        )
    except subprocess.TimeoutExpired:
        return {"status": "out of time", "seconds": seconds}
    told = {"seconds": round(time.monotonic() - begun, 1)}
    if done.returncode:
        return {"status": "failed", "said": done.stderr[-TOLD:], "code": done.returncode} | told
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"status": "done"} | told | found


def verify_all(wanted: list[Case], models: dict[str, Path], minutes: float) -> list[dict[str, Any]]:
    """Case after case until the time is over; what is left then is recorded as left out."""
    until = time.monotonic() + minutes * 60
    found = []
    for case in wanted:
        left = until - time.monotonic()
        why = unfit(case) or ("" if left > 1 else "no time left")
        if why:
            outcome: dict[str, Any] = {"status": "left out", "why": why}
        else:
            with tempfile.TemporaryDirectory(prefix="verify-") as name:
                Home(Path(name)).make()
                outcome = verify(case, models[case.size], Path(name), left)
        print(f"{outcome['status']:12}{case.name}", file=sys.stderr, flush=True)
        found.append({"name": case.name, "case": msgspec.to_builtins(case)} | outcome)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="in all")
    parser.add_argument("--sizes", help=f"of {', '.join(shapes.SIZES)}, by commas")
    parser.add_argument("--starter", type=Path, help="the starter model's folder, if it is here")
    parser.add_argument("--length", type=int, help="tokens of the longest row")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--models", type=Path, help="keep random models here")
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    card = torch.cuda.is_available()
    sizes = (options.sizes or ("starter,1b,8b" if card else "tiny")).split(",")
    length = options.length or (1024 if card else 64)
    wanted = [
        case
        for size in sizes
        for case in cases.of_size(size, length, every=size in ("tiny", "starter"))
        if options.only in case.name
    ]
    with tempfile.TemporaryDirectory(prefix="verify-models-") as name:
        place = options.models or Path(name)
        models = {size: place / size for size in sizes}
        if options.starter:
            models["starter"] = options.starter
        for size in {case.size for case in wanted if not unfit(case)}:
            if not (models[size] / "config.json").exists():
                shapes.build(size, models[size])
        found = {"machine": machine(), "cases": verify_all(wanted, models, options.minutes)}
    text = json.dumps(found, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
