"""Datasets of the hub: the files of a configuration and split, fetched so that it can go on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from huggingface_hub import HfApi

from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import hub_datasets
from studio.library.files import write_whole
from studio.library.folders import Home
from studio.library.hub_datasets import Origin
from studio.library.locks import Lock
from studio.preparer import hub_errors, hub_files, layout
from studio.preparer.hub import LONGEST_SILENCE_BYTES, SPARE_BYTES, endpoint
from studio.preparer.hub_files import RemoteFile, Source
from studio.preparer.progress import Tell, silent

README = "README.md"
DATASET = "dataset"
_LEGAL = re.compile(r"[^\\:*?\"<>|\x00-\x1f]+")


def fetch(home: Home, part: DatasetPart, token: str = "", tell: Tell = silent) -> DatasetPart:
    """The dataset with its path on this machine in place of a hub id, downloaded where need be.

    A copy that is here whole is taken as it is, without asking the hub; only files with rows are
    ever fetched, no code. `tell` hears often, and may raise to give up: what has come so far is
    kept for the next call. Raises StudioError with what to do.
    """
    try:
        return hub_datasets.located(home, part)
    except StudioError:
        repo = hub_datasets.hub_id(part)
    tell(f"Looking up {repo}", None)
    with hub_errors.told(repo, endpoint(), token, DATASET):
        info = HfApi(endpoint=endpoint(), token=token or False).dataset_info(
            repo,
            revision=part.revision or None,
            files_metadata=True,
            timeout=hub_files.TIMEOUT_SECONDS,
        )
        source = Source(repo, str(info.sha), endpoint(), token, DATASET)
        files = {file.name: file for file in map(hub_files.of_sibling, info.siblings or ())}
        return _locked(home, part, source, files, tell)


def _locked(
    home: Home, part: DatasetPart, source: Source, files: dict[str, RemoteFile], tell: Tell
) -> DatasetPart:
    top = hub_datasets.hub_folder(home, source.repo)
    folder = top / source.commit
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(top / ".download.lock")
    if not lock.acquire():
        raise StudioError(
            "Already downloading",
            f"{source.repo} is being downloaded by another window or command.",
            "Wait until that is done.",
        )
    try:
        _fetch_all(part, source, files, folder, tell)
        _note(part, source, top)
    finally:
        lock.release()
    return msgspec.structs.replace(part, path=str(folder))


def _fetch_all(
    part: DatasetPart, source: Source, files: dict[str, RemoteFile], folder: Path, tell: Tell
) -> None:
    readme = ""
    if README in files:
        _fetch(source, files[README], folder, tell, [0], 0)
        readme = (folder / README).read_text(encoding="utf-8", errors="replace")
    data = _wanted(part, source.repo, files, readme)
    total = sum(file.size for file in data)
    _refuse_full_disk(source.repo, folder, data)
    done = [0]
    for file in data:
        _fetch(source, file, folder, tell, done, total)
    tell(f"Downloading {source.repo}", 1.0)


def _wanted(
    part: DatasetPart, repo: str, files: dict[str, RemoteFile], readme: str
) -> list[RemoteFile]:
    """The files of the configuration and split; StudioError where there are none to read."""
    legal = [name for name in files if _is_legal(name) and layout.readable(name)]
    names = layout.plain_only_alone(legal)
    if not names:
        raise _no_data(repo, list(files))
    chosen = layout.choose(names, readme, part.config or "", part.split or "", one_kind=True)
    found = [files[name] for name in (*chosen.train, *chosen.evaluation)]
    if not found:
        raise _no_data(repo, list(files))
    return found


def _fetch(
    source: Source, file: RemoteFile, folder: Path, tell: Tell, done: list[int], total: int
) -> None:
    """One file into its place; `done` is how many bytes of all of them are there."""
    place = folder.joinpath(*PurePosixPath(file.name).parent.parts)
    place.mkdir(parents=True, exist_ok=True)
    step, told = max(1, min(total // 1000, LONGEST_SILENCE_BYTES)), done[0]

    def advance(count: int) -> None:
        nonlocal told
        done[0] += count
        if abs(done[0] - told) >= step:
            told = done[0]
            share = min(1.0, done[0] / total) if total else None
            tell(f"Downloading {source.repo}", share)

    hub_files.fetch(source, file, place, advance)


def _note(part: DatasetPart, source: Source, top: Path) -> None:
    """Write down what is here whole, and what the revision's name meant."""
    folder = top / source.commit
    before = hub_datasets.origin_of(folder)
    fetched = {*(before.fetched if before else ()), hub_datasets.wanted(part)}
    origin = Origin(repo=source.repo, revision=source.commit, fetched=tuple(sorted(fetched)))
    _write(folder / hub_datasets.NOTE, origin)
    meant = hub_datasets.revisions(top) | {part.revision or hub_datasets.MAIN: source.commit}
    _write(top / hub_datasets.REVISIONS, meant)


def _write(path: Path, value: Any) -> None:
    write_whole(path, msgspec.json.format(msgspec.json.encode(value)))


def _refuse_full_disk(repo: str, folder: Path, files: list[RemoteFile]) -> None:
    wanted = sum(file.size for file in files if not (folder / file.name).is_file())
    free = shutil.disk_usage(folder).free
    if wanted + SPARE_BYTES > free:
        raise StudioError(
            "Not enough room",
            f"{repo} needs {wanted / 1e9:.1f} GB; {free / 1e9:.1f} GB are free.",
            "Free some space, or name a smaller configuration or split.",
        )


def _is_legal(name: str) -> bool:
    """Whether a file of the hub may lie under this name in a folder of ours."""
    parts = name.split("/")
    return all(_LEGAL.fullmatch(part) and part not in (".", "..") for part in parts)


def _no_data(repo: str, names: list[str]) -> StudioError:
    if any(name.endswith(".py") for name in names):
        return StudioError(
            "Only a loading script",
            f"{repo} has no files with rows, only a program that makes them; the studio runs none.",
            "Try the hub's own conversion: the revision refs/convert/parquet.",
        )
    return StudioError(
        "No data in this dataset",
        f"{repo} holds no file with rows.",
        f"Choose a dataset with files of these kinds: {layout.KINDS}.",
    )
