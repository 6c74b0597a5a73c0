"""Models of the Hugging Face hub: search, and downloads that can be broken off and go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from huggingface_hub import HfApi, ModelInfo, get_session, hf_raise_for_status

from studio.core.errors import StudioError
from studio.core.hub import HubModel
from studio.library.files import put_in_place, write_whole
from studio.library.locks import Lock
from studio.preparer import hub_errors, hub_files
from studio.preparer.hub_files import RemoteFile, Source

Progress = Callable[[str, float | None], None]

DEFAULT_ENDPOINT = "https://huggingface.co"
NOTE = "studio.json"
SPARE_BYTES = 200_000_000
LONGEST_SILENCE_BYTES = 1 << 20

_ModelInfo: Any = ModelInfo  # whose constructor has no types
_SHOWN = ["downloads", "likes", "gated", "safetensors", "tags", "lastModified", "config"]


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """studio.json beside the files: where they came from."""

    name: str
    source: str = "hub"
    repo: str
    revision: str
    licence: str = ""


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def search(text: str, token: str = "", limit: int = 30) -> list[HubModel]:
    """Models that continue text and have safetensors, the most downloaded first."""
    # HfApi.list_models would try an unreachable hub for 23 seconds before it says so
    asked: dict[str, Any] = {
        "search": text.strip(),
        "filter": ["text-generation", "safetensors"],
        "sort": "downloads",
        "limit": limit,
        "expand": _SHOWN,
    }
    with hub_errors.told(text, endpoint(), token):
        address, headers = f"{endpoint()}/api/models", hub_files.headers(token)
        wait = hub_files.TIMEOUT_SECONDS
        answer = get_session().get(address, params=asked, headers=headers, timeout=wait)
        hf_raise_for_status(answer)
        return [_model(_ModelInfo(**row)) for row in answer.json()]


def download(
    repo: str, revision: str, target: Path, token: str = "", progress: Progress | None = None
) -> Path:
    """A model's files as the folder `target`, which appears whole; pinned to one commit.

    What an earlier call left behind is used. `progress` hears often, and may raise to give up:
    what has come so far is kept for the next call. Raises StudioError with what to do.
    """
    say = progress or _silent
    say(f"Looking up {repo}", None)
    with hub_errors.told(repo, endpoint(), token):
        info = HfApi(endpoint=endpoint(), token=token or False).model_info(
            repo, revision=revision or None, files_metadata=True, timeout=hub_files.TIMEOUT_SECONDS
        )
        note = _note(repo, info)
        if _read_note(target) == note:
            return target
        source = Source(repo, note.revision, endpoint(), token)
        return _locked(source, note, hub_files.of_siblings(info.siblings or ()), target, say)


def _locked(
    source: Source, note: _Note, files: list[RemoteFile], target: Path, say: Progress
) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(target.parent / f".download-{target.name}.lock")
    if not lock.acquire():
        raise StudioError(
            "Already downloading",
            f"{source.repo} is being downloaded by another window or command.",
            "Wait until that is done.",
        )
    try:
        folder = _begin(target.parent / f".download-{target.name}", note)
        _fetch_all(source, files, folder, say)
        put_in_place(folder, target)
    finally:
        lock.release()
    return target


def _begin(folder: Path, note: _Note) -> Path:
    """The folder of the unfinished download; files of another commit are thrown away."""
    if folder.is_dir() and _read_note(folder) != note:
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    write_whole(folder / NOTE, msgspec.json.format(msgspec.json.encode(note)))
    return folder


def _fetch_all(source: Source, files: list[RemoteFile], folder: Path, say: Progress) -> None:
    beside = [file for file in hub_files.beside(files) if file.name != NOTE]
    for file in beside:
        hub_files.fetch(source, file, folder, lambda _: say(f"Downloading {source.repo}", None))
    weights = hub_files.weights(files, source.repo, folder / hub_files.INDEX)
    total = sum(file.size for file in weights)
    _refuse_full_disk(source.repo, folder, weights)
    step, done, told = min(total // 1000, LONGEST_SILENCE_BYTES), 0, 0

    def advance(count: int) -> None:
        nonlocal done, told
        done += count
        if abs(done - told) >= step or done >= total:
            told = done
            say(f"Downloading {source.repo}", min(1.0, done / max(1, total)))

    for file in weights:
        hub_files.fetch(source, file, folder, advance)


def _refuse_full_disk(repo: str, folder: Path, files: list[RemoteFile]) -> None:
    have = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    wanted = sum(file.size for file in files) - have + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise StudioError(
            "Not enough room",
            f"{repo} needs {wanted / 1e9:.1f} GB more; {free / 1e9:.1f} GB are free.",
            "Free some space on the disk of the models folder.",
        )


def _note(repo: str, info: Any) -> _Note:
    if not info.sha:
        raise StudioError("Not on the hub", f"{repo} names no commit.", "Pick another model.")
    return _Note(name=repo, repo=repo, revision=str(info.sha), licence=_licence(info))


def _read_note(folder: Path) -> _Note | None:
    try:
        return msgspec.json.decode((folder / NOTE).read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        return None


def _model(info: Any) -> HubModel:
    config = info.config or {}
    architectures = config.get("architectures") or [""]
    return HubModel(
        id=str(info.id),
        downloads=int(info.downloads or 0),
        likes=int(info.likes or 0),
        parameters=int(info.safetensors.total) if info.safetensors else 0,
        licence=_licence(info),
        architecture=str(architectures[0]),
        gated=bool(info.gated),
        updated=info.last_modified.date().isoformat() if info.last_modified else "",
    )


def _licence(info: Any) -> str:
    tags = [str(tag) for tag in info.tags or ()]
    found = [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    return found[0] if found else ""


def _silent(text: str, share: float | None) -> None:
    """For callers that want no progress."""
