"""All that resuming needs, in one folder that is whole or not there."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from studio.core.errors import StudioError
from studio.core.recipe import TrainingPart
from studio.engine import chance
from studio.library.files import remove_folder, sweep_partials, whole_folder, write_whole

_STEP, _BEST = "step-", "best-"
_WEIGHTS, _STATE, _PROGRESS, _MANIFEST = (
    "weights.safetensors",
    "state.pt",
    "progress.json",
    "manifest.json",
)
_OF_STEP, _OF_BEST = frozenset({_WEIGHTS, _STATE, _PROGRESS}), frozenset({_WEIGHTS})


class Progress(msgspec.Struct, kw_only=True):
    """How far a run is. `tokens` and `seconds` are sums over all its engines.

    `evaluated_step` is the last step that the held-out rows were looked at, so that a resumed run
    neither leaves out an evaluation that was due nor counts one twice; older studios didn't write
    it down, and saved after evaluating.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    train_loss: float | None = None
    eval_loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    worse_evaluations: int = 0
    peak_bytes: int = 0
    evaluated_step: int | None = None


class Stateful(Protocol):
    """What can be saved and brought back: optimizer, schedule, loss scaler."""

    def state_dict(self) -> dict[str, Any]:
        """All that it is now."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Be that again."""


class Checkpoints:
    """The checkpoints of one run: the newest `keep` and the best weights.

    Each is a folder that is whole or not there, with a manifest of its files' digests that is
    compared before anything of it is used. An older one is deleted when a newer one is whole.
    """

    def __init__(self, folder: Path, keep: int = TrainingPart().keep_checkpoints) -> None:
        self.folder = folder
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True)
        sweep_partials(folder)

    def save(self, model: nn.Module, parts: dict[str, Stateful], progress: Progress) -> Path:
        """Write a checkpoint of this moment; older ones beyond those kept go afterwards."""
        target = self.folder / f"{_STEP}{progress.step:08d}"
        state = {name: part.state_dict() for name, part in parts.items()}
        with whole_folder(target) as folder:
            _write_weights(folder, model)
            with (folder / _STATE).open("wb") as file:  # by name, torch hides why it can't write
                torch.save({"parts": state, "random": chance.state()}, file)
            write_whole(folder / _PROGRESS, msgspec.json.encode(progress))
            _write_manifest(folder)
        self._thin(self._steps()[: self._keep], progress.best_step)
        return target

    def save_best(self, model: nn.Module, progress: Progress) -> Path:
        """Keep these weights as the best so far; `progress.best_step` names them."""
        target = self.folder / f"{_BEST}{progress.best_step:08d}"
        with whole_folder(target) as folder:
            _write_weights(folder, model)
            _write_manifest(folder)
        self._thin(self._steps()[: self._keep], progress.best_step)
        return target

    def keep_newest_alone(self, progress: Progress) -> bool:
        """Make room where the disk is full; whether anything could go."""
        newest, _ = self.newest()
        return newest is not None and self._thin([newest], progress.best_step)

    def newest(self, before: int | None = None) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole, and the names of newer ones that are damaged.

        `before` leaves out those of that step and later ones.
        """
        damaged: list[str] = []
        for path in self._steps():
            if before is not None and step_of(path) >= before:
                continue
            if _whole(path, _OF_STEP):
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
        chance.restore(saved["random"])
        progress = msgspec.json.decode((path / _PROGRESS).read_bytes(), type=Progress)
        if progress.evaluated_step is None:
            progress.evaluated_step = progress.step
        return progress

    def restore_best(self, model: nn.Module, progress: Progress) -> bool:
        """Put the best weights into the model; False where they aren't there whole."""
        path = self.folder / f"{_BEST}{progress.best_step:08d}"
        if not _whole(path, _OF_BEST):
            return False
        _read_weights(path, model)
        return True

    def drop_after(self, path: Path) -> None:
        """Delete the checkpoints newer than this one: the run went back behind them."""
        for newer in self._steps():
            if newer.name > path.name:
                remove_folder(newer)

    def drop_from(self, step: int) -> None:
        """Delete the checkpoints of this step and later ones."""
        for path in self._steps():
            if step_of(path) >= step:
                remove_folder(path)

    def discard(self) -> None:
        """Delete all of them: nothing is left to resume."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_STEP}*"), reverse=True)

    def _thin(self, kept: list[Path], best_step: int) -> bool:
        """Delete the others, and best weights that neither the run nor a kept one knows of."""
        wanted = {best_step} | {_best_of(path) for path in kept}
        spare = [path for path in self._steps() if path not in kept]
        best = self.folder.glob(f"{_BEST}*")
        spare += [path for path in best if int(path.name.removeprefix(_BEST)) not in wanted]
        for path in spare:
            remove_folder(path)
        return any(not path.exists() for path in spare)


def size(folder: Path) -> int:
    """Bytes of the files in a checkpoint."""
    return sum(file.stat().st_size for file in folder.iterdir())


def step_of(path: Path) -> int:
    """The step that a checkpoint's folder is of."""
    return int(path.name.removeprefix(_STEP))


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that learn, by name; tied ones once."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


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
    weights = trainable(model)
    with safe_open(path / _WEIGHTS, framework="pt") as saved:
        shapes = {name: tuple(saved.get_slice(name).get_shape()) for name in saved.keys()}  # noqa: SIM118
        if shapes != {name: tuple(weight.shape) for name, weight in weights.items()}:
            raise StudioError(
                "The checkpoint doesn't fit",
                f"The weights in “{path.name}” are not those that this recipe trains.",
                "Put recipe.yaml back to what it was, or start a new run.",
            )
        for name, weight in weights.items():
            weight.copy_(saved.get_tensor(name))


def _write_manifest(folder: Path) -> None:
    files = {file.name: _digest(file) for file in folder.iterdir() if file.name != _MANIFEST}
    write_whole(folder / _MANIFEST, msgspec.json.encode({"time": time.time(), "sha256": files}))


def _whole(folder: Path, needed: frozenset[str]) -> bool:
    try:
        wanted = msgspec.json.decode((folder / _MANIFEST).read_bytes())["sha256"]
        listed = needed <= wanted.keys()
        return listed and all(_digest(folder / name) == digest for name, digest in wanted.items())
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return False


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
