"""The peers, each in an environment of its own that the harness makes; the studio needs none."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.benchmarks.speed.plan import Plan, write
from tests.benchmarks.speed.watch import Peak

SCRIPTS = Path(__file__).parent / "contestants"


class Peer(NamedTuple):
    """Its environment's name, its script and what the script is told besides the plan."""

    environment: str
    script: str
    words: tuple[str, ...] = ()


PACKAGES = {
    "trl": ("transformers==5.23.0", "peft==0.21.2", "trl==1.16.0", "bitsandbytes==0.50.2"),
    "llama-factory": ("llamafactory==0.9.5", "bitsandbytes==0.50.2"),
}
UNWANTED = {"llama-factory": ("torchvision", "torchaudio")}
"""Builds for another torch, which fail as soon as they are found; text needs neither."""
TORCH = "torch==2.13.0"
PEERS = {
    "plain": Peer("trl", "plain.py"),
    "trl": Peer("trl", "trl_sft.py", ("default",)),
    "trl-tuned": Peer("trl", "trl_sft.py", ("tuned",)),
    "llama-factory": Peer("llama-factory", "llama_factory.py"),
}


def cache() -> Path:
    """Where environments are kept unless told otherwise: the user's cache folder."""
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(named or Path.home() / ".cache") / "finetune-studio-peers"


def python_of(peer: Peer, folder: Path) -> Path:
    """The interpreter of a peer's environment, made now where it is not there."""
    place = folder / peer.environment
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (place / "complete").exists():
        _install(peer.environment, place, python)
    return python


def run(name: str, plan: Plan, folder: Path, patience: float) -> tuple[float, int]:
    """Seconds of the whole process and the peak of its memory in bytes; RuntimeError where it
    fails. What it printed is in `out/log`."""
    peer = PEERS[name]
    out = Path(plan.out)
    out.mkdir(parents=True, exist_ok=True)
    script = [str(SCRIPTS / peer.script), str(write(plan, out / "plan.json")), *peer.words]
    with (out / "log").open("wb") as log:
        process = psutil.Popen(
            [str(python_of(peer, folder)), *script],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=out,
            env=os.environ | environment(plan),
        )
        begun = process.create_time()
        peak = Peak(process.pid)
        status = process.wait(patience)
    memory = peak.stop()
    ended = (out / "turn.json").stat().st_mtime if status == 0 else 0.0
    if status:
        raise RuntimeError(f"{name} failed: {(out / 'log').read_text('utf-8', 'replace')[-1500:]}")
    return ended - begun, memory


def environment(plan: Plan) -> dict[str, str]:
    """So many threads, and nothing from the net."""
    threads = str(plan.threads)
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "DISABLE_VERSION_CHECK": "1",
    }


def _install(name: str, place: Path, python: Path) -> None:
    print(f"Installing {name} into {place}", file=sys.stderr)
    venv.create(place, with_pip=True)
    pip = [str(python), "-m", "pip", "--quiet"]
    subprocess.run([*pip, "install", TORCH], check=True)
    subprocess.run([*pip, "install", TORCH, *PACKAGES[name], "datasets"], check=True)
    if unwanted := UNWANTED.get(name):
        subprocess.run([*pip, "uninstall", "--yes", *unwanted], check=True)
    (place / "complete").touch()
