"""A folder to the hub: its large files one after the other, then one commit with everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from studio.core.errors import StudioError
from studio.preparer import hub_errors
from studio.preparer.hub import endpoint

Progress = Callable[[str, float | None], None]
LEFT_BEHIND = frozenset({"studio.json"})


def upload(folder: Path, repo: str, token: str, private: bool, progress: Progress) -> str:
    """Put a folder's files into a repository, made where there is none; the address of its page.

    Files that the hub has already are not sent again, so an upload that was broken off goes on with
    the file where it stopped; nothing shows there before the commit. `progress` may raise to give
    up. Raises StudioError with what to do.
    """
    if not token:
        raise StudioError(
            "No token",
            "The hub takes files only from somebody it knows.",
            "Add a token that may write, in Settings or with: finetune-studio settings token.",
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if path.name not in LEFT_BEHIND]
    api = HfApi(endpoint=endpoint(), token=token)
    progress(f"Looking up {repo}", None)
    with hub_errors.told(repo, endpoint(), token), _may_write(repo):
        name = api.create_repo(repo, private=private, exist_ok=True).repo_id
        operations = [
            CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files
        ]
        total = sum(path.stat().st_size for path in files) or 1
        sent = 0
        for operation, path in zip(operations, files, strict=True):
            progress(f"Uploading {operation.path_in_repo}", sent / total)
            _send(api, name, operation)
            sent += path.stat().st_size
        progress(f"Uploading {name}", 1.0)
        api.create_commit(name, operations, commit_message="Upload of an export")
    return f"{endpoint()}/{name}"


def _send(api: HfApi, repo: str, operation: CommitOperationAdd) -> None:
    """One large file; whatever broke it off, the next upload goes on behind what is there."""
    try:
        api.preupload_lfs_files(repo, [operation])
    except RuntimeError as error:  # the hub's client wraps what happened
        raise StudioError(
            "The upload broke off",
            f"{operation.path_in_repo} couldn't be sent ({error.__cause__ or error}).",
            "Push it again; it goes on with this file.",
        ) from error


class _may_write:
    """A token that may only read is told as such."""

    def __init__(self, repo: str) -> None:
        self._repo = repo

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
            raise StudioError(
                "Not allowed to write",
                f"The hub doesn't let this token write to {self._repo}.",
                "Use a token that may write, and a name that begins with your own or with that of "
                "an organisation you belong to.",
            ) from error
