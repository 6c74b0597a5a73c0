"""Runs every path of the engine on this machine's card and prints one JSON of what it measured.

    python -m tests.gpu.verify [--minutes 60] [--sizes starter,1b,8b] [--out verified.json]

Needs torch, transformers, peft, bitsandbytes and what the engine needs besides, no Qt. Each case
has a process of its own: what fails or runs out of memory is recorded, and the rest goes on.
Without a card it goes through what a processor can do, on small shapes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import torch

from studio.library.folders import Home, default_root
from studio.library.models.starter import starter_path
from tests.gpu import cases, shapes
from tests.gpu.cases import Case

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "flash-attn", "triton")
ONLY_ON_A_CARD = {"flash_attention_2", "flex_attention"}
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


class Models:
    """Folders of the models by size, made when the first case wants one; `known` are there."""

    def __init__(self, place: Path, known: dict[str, Path]) -> None:
        self._place, self._folders = place, dict(known)

    def folder(self, size: str) -> Path:
        """The folder of the model of this size."""
        if size not in self._folders:
            self._folders[size] = shapes.build(size, self._place / size)
        return self._folders[size]


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
    found = _last_line(done.stdout)
    if done.returncode or found is None:
        return {"status": "failed", "said": done.stderr[-TOLD:], "code": done.returncode} | told
    return {"status": "done"} | told | found


def _last_line(text: str) -> dict[str, Any] | None:
    """The result that a case printed last; None where there is none."""
    with contextlib.suppress(IndexError, ValueError):
        found = json.loads(text.splitlines()[-1])
        return found if isinstance(found, dict) else None
    return None


def verify_all(wanted: Sequence[Case], models: Models, minutes: float) -> Iterator[dict[str, Any]]:
    """Case after case until the time is over; what is left then is told as left out."""
    until = time.monotonic() + minutes * 60
    first: dict[tuple[str, str], float] = {}
    for case in wanted:
        outcome = _outcome(case, models, until)
        if loss := next(iter(outcome.get("losses", ())), None):
            plain = first.setdefault((case.size, case.method), loss)
            outcome["first_loss_against_the_plain_case"] = loss / plain
        print(f"{outcome['status']:12}{case.name}", file=sys.stderr, flush=True)
        yield {"name": case.name, "case": msgspec.to_builtins(case)} | outcome


def _outcome(case: Case, models: Models, until: float) -> dict[str, Any]:
    left = until - time.monotonic()
    if why := unfit(case) or ("" if left > 1 else "no time left"):
        return {"status": "left out", "why": why}
    try:
        with tempfile.TemporaryDirectory(prefix="verify-", ignore_cleanup_errors=True) as name:
            Home(Path(name)).make()
            return verify(case, models.folder(case.size), Path(name), left)
    except Exception as error:  # no disk for a model, say; the other cases don't need it
        return {"status": "failed", "said": f"{type(error).__name__}: {error}"}


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="in all")
    parser.add_argument("--sizes", help=f"of {', '.join(shapes.SIZES)}, by commas")
    parser.add_argument("--starter", type=Path, help="the starter model's folder; the studio's own")
    parser.add_argument("--length", type=int, help="tokens of the longest row")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--list", action="store_true", help="print the cases' names alone")
    parser.add_argument("--models", type=Path, help="keep random models here")
    parser.add_argument("--out", type=Path, help="write the JSON here too, after every case")
    return parser.parse_args()


def known(named: Path | None) -> dict[str, Path]:
    """The starter model where it is at hand; elsewhere random weights of its shape serve."""
    folder = named or starter_path(Home(default_root()))
    if named is not None and not (named / "config.json").exists():
        raise SystemExit(f"There is no model in {named}.")
    return {"starter": folder} if (folder / "config.json").exists() else {}


def main() -> None:
    chosen, card = options(), torch.cuda.is_available()
    sizes = (chosen.sizes or ("starter,1b,8b" if card else "tiny")).split(",")
    length = chosen.length or (1024 if card else 64)
    if unknown := set(sizes) - set(shapes.SIZES):
        raise SystemExit(f"No such size: {', '.join(sorted(unknown))}.")
    wanted = [
        case
        for size in sizes
        for case in cases.of_size(size, length, every=size in ("tiny", "starter"))
        if chosen.only in case.name
    ]
    if chosen.list:
        print("\n".join(case.name for case in wanted))
        return
    at_hand = known(chosen.starter)
    found: dict[str, Any] = {"machine": machine(), "starter": bool(at_hand), "cases": []}
    with tempfile.TemporaryDirectory(prefix="verify-models-") as name:
        models = Models(chosen.models or Path(name), at_hand)
        with contextlib.suppress(KeyboardInterrupt):  # what was found until then is told
            for one in verify_all(wanted, models, chosen.minutes):
                found["cases"].append(one)
                if chosen.out:
                    chosen.out.write_text(json.dumps(found, indent=1), "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
