"""Files of the hub: which of a model's are wanted, and one fetched so that it can go on later."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status

from studio.core.errors import StudioError
from studio.library import foreign
from studio.preparer import hub_errors

CHUNK = 1 << 20
TIMEOUT_SECONDS = 30.0
TRIES_WITHOUT_PROGRESS = 4
WAIT_SECONDS = 1.0
LARGEST_INDEX = 50_000_000

INDEX = "model.safetensors.index.json"
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_BESIDE = re.compile(
    r"[\w.-]+\.json|[\w.-]+\.jinja|tokenizer\.model|spiece\.model|merges\.txt|vocab\.txt|"
    r"README\.md|(LICEN[SC]E|NOTICE|USE_POLICY)[\w.-]*",
    re.IGNORECASE | re.ASCII,
)
_PICKLED = re.compile(r".*\.(bin|pt|pth|ckpt|h5|msgpack)")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a commit. `size` is in bytes; of the two digests the hub gives one."""

    name: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True)
class Source:
    """Where files come from: a repository at one commit."""

    repo: str
    commit: str
    endpoint: str
    token: str = ""
    kind: str = "model"

    def url(self, name: str) -> str:
        """The address of one file."""
        return hf_hub_url(
            self.repo, name, repo_type=self.kind, revision=self.commit, endpoint=self.endpoint
        )


def headers(token: str) -> dict[str, str]:
    """Headers of a request. Packing is declined: pieces of packed files can't be resumed."""
    plain = {"Accept-Encoding": "identity", "User-Agent": "finetune-studio"}
    return plain | ({"Authorization": f"Bearer {token}"} if token else {})


def of_siblings(siblings: Iterable[Any]) -> list[RemoteFile]:
    """The files at the top of a repository, from the hub's answer."""
    files = [of_sibling(sibling) for sibling in siblings]
    return [file for file in files if "/" not in file.name and "\\" not in file.name]


def beside(files: list[RemoteFile]) -> list[RemoteFile]:
    """All but weights that a model folder needs: config, tokenizer, licence."""
    return [file for file in files if _BESIDE.fullmatch(file.name)]


def weights(files: list[RemoteFile], repo: str, index: Path) -> list[RemoteFile]:
    """The safetensors files: those of the index where there is one (already fetched).

    Raises StudioError where the repository has none that the studio reads.
    """
    named = {file.name for file in files if _WEIGHTS.fullmatch(file.name)}
    if index.is_file():
        named = _named_by(index)
    found = [file for file in files if file.name in named and file.name.endswith(".safetensors")]
    if not found or (index.is_file() and len(found) < len(named)):
        raise _no_weights(files, repo)
    return found


def fetch(source: Source, file: RemoteFile, folder: Path, advance: Callable[[int], None]) -> None:
    """Bring one file to the top of the folder, going on from what an earlier try left of it.

    `advance` hears of every piece (bytes); what it raises ends the fetching and is passed on.
    """
    name = file.name.rpartition("/")[2]
    target, part = folder / name, folder / f"{name}.part"
    if target.is_file() and target.stat().st_size == file.size:
        advance(file.size)
        return
    _receive(source, file, part, advance)
    if not _is(file, part):
        part.unlink()
        raise StudioError(
            "Download damaged",
            f"{file.name} arrived with other content than the hub promised.",
            "Start the download again.",
        )
    part.replace(target)


def _receive(source: Source, file: RemoteFile, part: Path, advance: Callable[[int], None]) -> None:
    have = min(part.stat().st_size, file.size) if part.exists() else 0
    advance(have)
    tries = TRIES_WITHOUT_PROGRESS
    while have < file.size or not part.exists():
        before = have
        try:
            have = _stream(source, file, part, have, advance)
        except Exception as error:
            have = part.stat().st_size if part.exists() else 0
            tries = TRIES_WITHOUT_PROGRESS if have > before else tries - 1
            if not hub_errors.broken(error) or tries <= 0:
                raise
            time.sleep(WAIT_SECONDS)


def _stream(
    source: Source, file: RemoteFile, part: Path, have: int, advance: Callable[[int], None]
) -> int:
    asked = headers(source.token) | ({"Range": f"bytes={have}-"} if have else {})
    client = get_session()
    url = source.url(file.name)
    with client.stream("GET", url, headers=asked, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code >= 400:
            response.read()
        hf_raise_for_status(response)
        if have and response.status_code != 206:
            advance(-have)
            have = 0
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            for chunk in response.iter_bytes():
                out.write(chunk)
                have += len(chunk)
                advance(len(chunk))
            out.truncate()
    return have


def _is(file: RemoteFile, path: Path) -> bool:
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as content:
        if file.sha256:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
        if not file.git_sha1:
            return True
        # git's name of a blob; no protection against an attacker, only against damage
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == file.git_sha1


def of_sibling(sibling: Any) -> RemoteFile:
    """One file of a repository, from the hub's answer."""
    lfs = sibling.lfs
    return RemoteFile(
        name=str(sibling.rfilename),
        size=int(sibling.size or 0),
        sha256=str(lfs.sha256) if lfs else "",
        git_sha1="" if lfs else str(sibling.blob_id or ""),
    )


def _named_by(index: Path) -> set[str]:
    if index.stat().st_size > LARGEST_INDEX:
        return set()
    try:
        return {str(name) for name in foreign.read(index)["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def _no_weights(files: list[RemoteFile], repo: str) -> StudioError:
    names = [file.name.lower() for file in files]
    if any(name.endswith(".gguf") for name in names):
        return StudioError(
            "Only GGUF files",
            f"{repo} offers GGUF files and no safetensors.",
            "Pick the original model, or download a GGUF file yourself and import it.",
        )
    if any(_PICKLED.fullmatch(name) for name in names):
        return StudioError(
            "Only pickled weights",
            f"{repo} offers its weights only as pickled files, which can run code when opened.",
            "Look for a safetensors version of the same model.",
        )
    return StudioError(
        "No weights",
        f"{repo} holds no complete safetensors weights at its top.",
        "Pick a model with model.safetensors among its files.",
    )
