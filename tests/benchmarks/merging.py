"""Merging tensor by tensor against peft's merge_and_unload + save_pretrained: memory and time.

    python -m tests.benchmarks.merging [--gb 8] [--against-gb 2] [--times 3] [--in DIR]

Models of random weights with the shapes of Llama 3 8B's layers, as many as the size asks for, in a
shard for each layer; `--in` keeps them for the next time. Ours merges `--gb` and, like peft,
`--against-gb`, each in a process of its own, in turn. Memory is the process's peak less what it
held after its imports. Every tensor of the large result is compared, bit by bit, with the sum in
float32, rounded once.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.benchmarks.numbers import distribution

SHAPE = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
}
LAYER_BYTES = 436_207_616
ENDS_BYTES = 2 * 32000 * 4096 * 2


def build(folder: Path, gigabytes: float) -> None:
    """A bf16 checkpoint of about this size in shards of a layer, and an adapter for it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    layers = max(1, round((gigabytes * 1e9 - ENDS_BYTES) / LAYER_BYTES))
    config = LlamaConfig(num_hidden_layers=layers, dtype="bfloat16", **SHAPE)  # type: ignore[arg-type]
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    base = folder / "base"
    base.mkdir(parents=True)
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(base)
    places: dict[str, str] = {}
    shards: dict[str, list[str]] = {}
    for name in model.state_dict():
        parts = name.split(".")
        shards.setdefault(parts[2] if "layers" in parts else "ends", []).append(name)
    for number, names in enumerate(shards.values(), 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        shapes = {name: model.state_dict()[name].shape for name in names}
        save_file({n: 0.02 * torch.randn(s).bfloat16() for n, s in shapes.items()}, base / file)
        places |= dict.fromkeys(names, file)
    index = {"metadata": {}, "weight_map": places}
    (base / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    adapted = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    weights = {
        name.replace(".default", ""): 0.02 * torch.randn(weight.shape)
        for name, weight in adapted.named_parameters()
        if "lora_" in name
    }
    adapter = folder / "adapter"
    adapted.peft_config["default"].inference_mode = True
    adapted.peft_config["default"].save_pretrained(str(adapter))
    save_file(weights, adapter / "adapter_model.safetensors")


def ours(folder: Path, out: Path) -> None:
    from studio.engine import streaming_merge

    out.mkdir()
    todo = streaming_merge.plan(folder / "base", folder / "adapter")
    streaming_merge.write(todo, out)


def pefts(folder: Path, out: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.bfloat16)
    merged = PeftModel.from_pretrained(model, str(folder / "adapter")).merge_and_unload()
    merged.save_pretrained(out)


WAYS = {"ours": ours, "peft": pefts}


def once(way: str, folder: Path, out: Path) -> None:
    """In the child: merge, and print seconds and bytes above idle."""
    import peft  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401

    from studio.engine import streaming_merge  # noqa: F401

    idle, start = psutil.Process().memory_info().rss, time.perf_counter()
    WAYS[way](folder, out)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "bytes": highest() - idle}))


def highest() -> int:
    """The process's own high-water mark (Linux); getrusage's is that of its parent too."""
    status = Path("/proc/self/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def child(way: str, folder: Path, *, compare: bool = False) -> dict[str, float]:
    """One merge in a process of its own; what it wrote is deleted, first counting the tensors that
    aren't the reference's where `compare` says so."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = [sys.executable, "-m", "tests.benchmarks.merging", "--child", way]
        words += ["--folder", str(folder), "--out", str(Path(out) / "merged")]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        if compare:
            found["different"] = len(different(folder, Path(out) / "merged"))
        return found


def different(folder: Path, merged: Path) -> list[str]:
    """The tensors of the merged folder that aren't base + 2 x B @ A in float32, rounded once."""
    import torch
    from safetensors import safe_open

    found = []
    with safe_open(folder / "adapter" / "adapter_model.safetensors", "pt") as parts:
        keys = set(parts.keys())
        for file in sorted((folder / "base").glob("*.safetensors")):
            with safe_open(file, "pt") as base, safe_open(merged / file.name, "pt") as result:
                for name in base.keys():  # noqa: SIM118
                    wanted = base.get_tensor(name)
                    stem = f"base_model.model.{name.removesuffix('.weight')}.lora_"
                    if f"{stem}A.weight" in keys:
                        a, b = (parts.get_tensor(f"{stem}{part}.weight") for part in "AB")
                        wanted = (wanted.float() + 2 * (b @ a)).bfloat16()
                    if not torch.equal(result.get_tensor(name), wanted):
                        found.append(name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=8.0)
    parser.add_argument("--against-gb", type=float, default=2.0)
    parser.add_argument("--times", type=int, default=3, help="0 builds the models only")
    parser.add_argument("--in", dest="place", type=Path)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        once(options.child, options.folder, options.out)
        return
    with tempfile.TemporaryDirectory() as place:
        kept = options.place or Path(place)
        large, small = kept / f"{options.gb:g}", kept / f"{options.against_gb:g}"
        for folder, size in ((large, options.gb), (small, options.against_gb)):
            if not (folder / "adapter").is_dir():
                build(folder, size)
        if options.times == 0:
            return
        seen: dict[str, list[float]] = {}
        for _ in range(options.times):
            for way in WAYS:
                for name, value in child(way, small).items():
                    seen.setdefault(f"{way} {name}", []).append(value)
        bytes_ = sum(file.stat().st_size for file in (large / "base").glob("*.safetensors"))
        found = child("ours", large, compare=True)
    middle = {name: distribution(values)["p50"] for name, values in seen.items()}
    figures = {
        "model_bytes": bytes_,
        "above_idle_bytes": found["bytes"],
        "above_idle_share": found["bytes"] / bytes_,
        "seconds": found["seconds"],
        "different_tensors": found["different"],
        "against": middle,
        "time_ratio": middle["ours seconds"] / middle["peft seconds"],
        "memory_ratio": middle["ours bytes"] / middle["peft bytes"],
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
