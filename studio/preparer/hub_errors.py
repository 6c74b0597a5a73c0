"""What can go wrong on the way to the hub, in sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from studio.core.errors import StudioError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
DOWNLOAD_AGAIN = "Start the download again; it goes on where it stopped."


@contextmanager
def told(what: str, endpoint: str, token: str = "", kind: str = "model") -> Iterator[None]:
    """Raise StudioError for whatever of the hub or the network goes wrong in the block.

    `what` is the model or dataset (or the text searched for) as a person named it.
    """
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        if advice := _advice(error, what, endpoint, token, kind):
            raise advice from error
        raise


def broken(error: BaseException) -> bool:
    """Whether the connection failed, so that trying again may help."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)


def _advice(
    error: Exception, what: str, endpoint: str, token: str, kind: str
) -> StudioError | None:
    if isinstance(error, GatedRepoError):
        return gated(what, endpoint, token, kind)
    if isinstance(error, RevisionNotFoundError):
        return StudioError(
            "No such revision",
            f"{what} has no revision of that name.",
            f"Leave the revision out, or copy a commit from the {kind}'s page.",
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return _missing(what, token, kind)
    if isinstance(error, HfHubHTTPError):
        return _answered(error.response.status_code, endpoint)
    if isinstance(error, OfflineModeIsEnabled) or broken(error):
        return StudioError(
            "The hub can't be reached",
            f"{endpoint} does not answer.",
            f"Check the network connection; {kind}s already on this machine work without it.",
        )
    return _full(error)


def gated(what: str, endpoint: str, token: str, kind: str = "model") -> StudioError:
    """The owner wants terms accepted, and the hub doesn't know that this user did."""
    page = f"{endpoint}/{what}" if kind == "model" else f"{endpoint}/{kind}s/{what}"
    if token:
        text = f"Your token may not download {what} yet."
        return StudioError("Access not granted", text, f"Accept the terms on {page}, then retry.")
    return StudioError(
        "Terms to accept",
        f"{what} is only for people who accepted its terms.",
        f"Accept them on {page}, then put a token of your account into Settings.",
    )


def _missing(what: str, token: str, kind: str) -> StudioError:
    private = "your token may not see it" if token else "it is private and needs a token"
    return StudioError(
        "Not on the hub",
        f"The hub has no {kind} {what}, or {private}.",
        "Check how it is spelt: organisation/name.",
    )


def _answered(status: int, endpoint: str) -> StudioError:
    if status in (401, 403):
        return StudioError(
            "Token refused",
            "The hub does not accept the token.",
            "Make a new token with read access, and put it into Settings.",
        )
    if status == 429:
        return StudioError(
            "Too many requests", "The hub asks for a pause.", "Wait a few minutes and try again."
        )
    text = f"{endpoint} answered with error {status}."
    return StudioError("The hub has a problem", text, "Try again later.")


def _full(error: Exception) -> StudioError | None:
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return None
    return StudioError(
        "Disk is full",
        "There is no room left for the download; what has come so far is kept.",
        f"Free some space. {DOWNLOAD_AGAIN}",
    )
