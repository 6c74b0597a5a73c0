"""Datasets of the hub: which a recipe names, and their copies on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import own_datasets
from studio.library.folders import Home

SAMPLE = "sample"
MAIN = "main"
NOTE = "studio.json"
REVISIONS = "revisions.json"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_ADDRESS = re.compile(
    r"(?:hf://datasets/|(?:https://)?(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/)"
    r"([\w.-]+(?:/[\w.-]+)?)/?",
    re.ASCII,
)
_FILE_SUFFIXES = {
    ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".txt", ".md",
    ".markdown", ".gz", ".bz2", ".xz", ".zst", ".zip",
}  # fmt: skip


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """studio.json beside the files of a hub dataset: where they came from.

    `fetched` lists the configurations and splits that are here whole, as the recipe names them.
    """

    repo: str
    revision: str
    fetched: tuple[tuple[str, str], ...] = ()


def hub_id(part: DatasetPart) -> str:
    """The dataset of the hub that a recipe names by id or address; nothing for files that exist
    and for what looks like one."""
    text = part.path.strip()
    if found := _ADDRESS.fullmatch(text):
        return found.group(1)
    if not _HUB_ID.fullmatch(text) or Path(text).suffix.casefold() in _FILE_SUFFIXES:
        return ""
    return "" if Path(text).exists() else text


def located(home: Home, part: DatasetPart) -> DatasetPart:
    """The dataset with its whole path on this machine, also in place of a hub id or the name of
    an own set; what exists as a path is that.

    Raises StudioError where the hub's dataset, or this configuration and split of it, isn't here.
    """
    absolute = _absolute(part)
    if absolute is part and part.path != SAMPLE and (own := own_datasets.find(home, part.path)):
        return msgspec.structs.replace(part, path=str(own))
    repo = hub_id(part)
    if not repo:
        return absolute
    folder = snapshot(home, repo, part.revision or "")
    origin = origin_of(folder) if folder else None
    if folder is None or origin is None or wanted(part) not in origin.fetched:
        raise missing(part)
    return msgspec.structs.replace(part, path=str(folder))


def _absolute(part: DatasetPart) -> DatasetPart:
    if part.path in ("", SAMPLE):
        return part
    try:
        path = Path(part.path).expanduser()
        return msgspec.structs.replace(part, path=str(path.absolute())) if path.exists() else part
    except (OSError, RuntimeError, ValueError):  # names that no system takes, homes of nobody
        return part


def wanted(part: DatasetPart) -> tuple[str, str]:
    """The configuration and split of a part, as Origin.fetched has them."""
    return part.config or "", part.split or ""


def hub_folder(home: Home, repo: str) -> Path:
    """Where the copies of a hub dataset lie, one folder a commit."""
    return home.cache / "datasets" / repo.replace("/", "--")


def snapshot(home: Home, repo: str, revision: str) -> Path | None:
    """The copy of a revision (the default branch where it is empty); None without one."""
    folder = hub_folder(home, repo)
    commit = revisions(folder).get(revision or MAIN, revision)
    found = folder / commit if re.fullmatch(r"[\w.-]+", commit) else None
    return found if found is not None and origin_of(found) else None


def revisions(folder: Path) -> dict[str, str]:
    """What the names of revisions meant when they were last asked for."""
    try:
        return msgspec.json.decode((folder / REVISIONS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def origin_at(text: str) -> Origin | None:
    """Where the files of a recipe's path came from, if from the hub through the studio."""
    return origin_of(Path(text)) if Path(text).is_absolute() else None


def origin_of(path: Path) -> Origin | None:
    """Where the files of a folder came from, if from the hub through the studio."""
    try:
        return msgspec.json.decode((path / NOTE).read_bytes(), type=Origin)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def missing(part: DatasetPart) -> StudioError:
    """The error of a hub dataset that isn't here."""
    repo = hub_id(part)
    return StudioError(
        "Dataset is not on this machine",
        f"There is no file or folder “{part.path}” here; the hub's dataset {repo} has not "
        "been downloaded.",
        f"Download it first: finetune-studio dataset {repo}{_as_options(part)}",
    )


def _as_options(part: DatasetPart) -> str:
    named = {"config": part.config, "split": part.split, "revision": part.revision}
    return "".join(f" --{name} {value}" for name, value in named.items() if value)
