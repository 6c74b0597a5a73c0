"""Where models lie on this machine: the studio's folder and the Hugging Face cache."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.core.recipe import ModelPart
from studio.library import settings
from studio.library.folders import Home
from studio.library.models.facts import inspect, known_architectures, note_of
from studio.library.models.starter import STARTER, starter_path

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def listing(home: Home) -> list[ModelFacts]:
    """Models of the studio, of the folder named in the settings, and of the Hugging Face cache.

    Each comes with its problems. Of the last two, which other programs fill, only language
    models are shown.
    """
    found = [inspect(folder) for folder in _folders_in(home.models)]
    extra = settings.load(home).models_folder
    others = _folders_in(Path(extra).expanduser()) if extra else []
    foreign = [inspect(folder) for folder in [*others, *cache_folders()]]
    return found + [facts for facts in foreign if facts.model_type in known_architectures()]


def resolve(home: Home, part: ModelPart) -> Path:
    """The folder that a recipe's model means.

    Raises StudioError, with what to do, when it isn't on this machine.
    """
    if part.path == STARTER:
        return _starter(home)
    with suppress(OSError, RuntimeError):  # names that no system takes, homes of nobody
        if found := _local(home, part.path):
            return found
    if HUB_ID.fullmatch(part.path):
        return _hub_model(home, part)
    raise StudioError(
        "Model not found",
        f"There is no model folder {part.path}.",
        "Pick a folder that exists, or write a hub id as organisation/name.",
    )


def _local(home: Home, named: str) -> Path | None:
    path = Path(named).expanduser()
    if named and path.is_dir():
        return path.absolute()
    if path.suffix.lower() == ".gguf" and path.is_file():
        raise _gguf(path)
    own = home.models / named
    return own if named and own.is_dir() and own.parent == home.models else None


def hub_folder(home: Home, repo: str) -> Path:
    """Where a model downloaded from the hub lies."""
    return home.models / repo.replace("/", "--")


def cache_root() -> Path:
    """The Hugging Face cache of this user, by the same variables that its library reads."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    if named := os.environ.get("HF_HOME"):
        return Path(named).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "huggingface/hub"


def cache_folders() -> list[Path]:
    """One snapshot of every model in the Hugging Face cache: main's, or else the newest."""
    repos = sorted(cache_root().glob("models--*"))
    snapshots = [_snapshot(repo, None) for repo in repos]
    return [path for path in snapshots if path is not None and (path / "config.json").is_file()]


def _folders_in(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    folders = [path for path in place.iterdir() if path.is_dir()]
    return sorted(path for path in folders if not path.name.startswith("."))


def _starter(home: Home) -> Path:
    path = starter_path(home)
    if path.is_dir():
        return path
    raise StudioError(
        "No starter model yet",
        "The starter model is not on this machine.",
        "Fetch it on the New run page, or with: finetune-studio models download starter",
    )


def _hub_model(home: Home, part: ModelPart) -> Path:
    own = hub_folder(home, part.path)
    if own.is_dir() and part.revision in (None, note_of(own).get("revision")):
        return own
    repo = cache_root() / f"models--{part.path.replace('/', '--')}"
    cached = _snapshot(repo, part.revision)
    if cached is not None:
        return cached
    pinned = f" at revision {part.revision}" if part.revision else ""
    raise StudioError(
        "Model not on this machine",
        f"{part.path}{pinned} has not been downloaded.",
        f"Download it first: finetune-studio models download {part.path}"
        + (f" --revision {part.revision}" if part.revision else ""),
    )


def _snapshot(repo: Path, revision: str | None) -> Path | None:
    snapshots = repo / "snapshots"
    named = _ref(repo, revision or "main")
    for commit in (revision, named):
        if commit and (snapshots / commit).is_dir() and (snapshots / commit).parent == snapshots:
            return snapshots / commit
    if revision or not snapshots.is_dir():
        return None
    folders = [path for path in snapshots.iterdir() if path.is_dir()]
    return max(folders, key=lambda path: path.stat().st_mtime, default=None)


def _ref(repo: Path, name: str) -> str:
    try:
        return (repo / "refs" / name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _gguf(path: Path) -> StudioError:
    return StudioError(
        "A GGUF file",
        f"{path.name} has to become a model folder before it can be trained.",
        f"Import it: finetune-studio models import {path}",
    )
