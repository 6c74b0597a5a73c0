"""All that resuming needs, in one folder that is whole or not there."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from studio.library.files import PARTIAL, sweep_partials, whole_folder, write_whole

KEPT = 2
_STEP, _BEST = "step-", "best-"
_WEIGHTS, _STATE, _PROGRESS, _MANIFEST = (
    "weights.safetensors",
    "state.pt",
    "progress.json",
    "manifest.json",
)


class Progress(msgspec.Struct, kw_only=True):
    """How far a run is. `tokens` and `seconds` are sums over all its engines."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    train_loss: float | None = None
    eval_loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    worse_evaluations: int = 0
    peak_bytes: int = 0


class Stateful(Protocol):
    """What can be saved and brought back: optimizer, schedule, loss scaler."""

    def state_dict(self) -> dict[str, Any]:
        """All that it is now."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Be that again."""


class Checkpoints:
    """The checkpoints of one run: the last two and the best weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sweep_partials(folder)

    def save(self, model: nn.Module, parts: dict[str, Stateful], progress: Progress) -> Path:
        """Write a checkpoint of this moment; older ones beyond those kept go afterwards."""
        target = self.folder / f"{_STEP}{progress.step:08d}"
        state = {name: part.state_dict() for name, part in parts.items()}
        with whole_folder(target) as folder:
            _write_weights(folder, model)
            torch.save({"parts": state, "random": _random_state()}, folder / _STATE)
            write_whole(folder / _PROGRESS, msgspec.json.encode(progress))
            _write_manifest(folder)
        self._prune(progress)
        return target

    def save_best(self, model: nn.Module, progress: Progress) -> None:
        """Keep these weights as the best so far; `progress.best_step` names them."""
        with whole_folder(self.folder / f"{_BEST}{progress.best_step:08d}") as folder:
            _write_weights(folder, model)
            _write_manifest(folder)

    def newest(self, before: int | None = None) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole, and the names of newer ones that are damaged.

        `before` leaves out those of that step and later ones.
        """
        damaged: list[str] = []
        steps = sorted(self.folder.glob(f"{_STEP}*"), reverse=True)
        for path in (p for p in steps if before is None or _step_of(p) < before):
            if _whole(path):
                return path, damaged
            damaged.append(path.name)
        return None, damaged

    def restore(self, path: Path, model: nn.Module, parts: dict[str, Stateful]) -> Progress:
        """Put model, optimizer, schedule and random numbers back to where they were.

        A part that an older studio's checkpoint doesn't hold stays as it is.
        """
        _read_weights(path, model)
        saved = torch.load(path / _STATE, weights_only=True, map_location="cpu")
        for name, part in parts.items():
            if name in saved["parts"]:
                part.load_state_dict(saved["parts"][name])
        _set_random_state(saved["random"])
        return msgspec.json.decode((path / _PROGRESS).read_bytes(), type=Progress)

    def restore_best(self, model: nn.Module, progress: Progress) -> bool:
        """Put the best weights into the model; False where they aren't there whole."""
        path = self.folder / f"{_BEST}{progress.best_step:08d}"
        if not _whole(path):
            return False
        _read_weights(path, model)
        return True

    def drop_after(self, path: Path) -> None:
        """Delete the checkpoints newer than this one: the run went back behind them."""
        for newer in self.folder.glob(f"{_STEP}*"):
            if newer.name > path.name:
                shutil.rmtree(newer, ignore_errors=True)

    def discard(self) -> None:
        """Delete all of them: nothing is left to resume."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prune(self, progress: Progress) -> None:
        steps = sorted(self.folder.glob(f"{_STEP}*"), reverse=True)
        kept = set(steps[:KEPT])
        wanted = {progress.best_step} | {_best_of(path) for path in kept}
        for path in steps[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(f"{_BEST}*"):
            if int(path.name.removeprefix(_BEST)) not in wanted:
                shutil.rmtree(path, ignore_errors=True)


def size(folder: Path) -> int:
    """Bytes of the files in a checkpoint."""
    return sum(file.stat().st_size for file in folder.iterdir())


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that learn, by name; tied ones once."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix(_STEP))


def _best_of(path: Path) -> int:
    try:
        return msgspec.json.decode((path / _PROGRESS).read_bytes(), type=Progress).best_step
    except (OSError, msgspec.MsgspecError):
        return 0


def _write_weights(folder: Path, model: nn.Module) -> None:
    save_file(
        {name: weight.detach().contiguous().cpu() for name, weight in trainable(model).items()},
        folder / _WEIGHTS,
    )


@torch.no_grad()
def _read_weights(path: Path, model: nn.Module) -> None:
    saved = load_file(path / _WEIGHTS)
    for name, weight in trainable(model).items():
        weight.copy_(saved[name])


def _write_manifest(folder: Path) -> None:
    files = {file.name: _digest(file) for file in folder.iterdir() if file.name != _MANIFEST}
    write_whole(folder / _MANIFEST, msgspec.json.encode({"time": time.time(), "sha256": files}))


def _whole(folder: Path) -> bool:
    if folder.name.startswith(PARTIAL):
        return False
    try:
        wanted = msgspec.json.decode((folder / _MANIFEST).read_bytes())["sha256"]
        return all(_digest(folder / name) == digest for name, digest in wanted.items())
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return False


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _random_state() -> dict[str, Any]:
    version, numbers, gauss = random.getstate()
    state: Any = np.random.get_state(legacy=True)
    kind, keys, position, has_gauss, cached = state
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
