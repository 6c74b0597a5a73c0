"""Exceptions of torch and its kin turned into one sentence and one thing to do."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable

from studio.core.errors import StudioError
from studio.core.events import Failed

FAULT = "Something went wrong inside the studio"

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}

_FULL_WORDS = (
    "no space left on device",
    "storagefull",
    "file too large",
    "disk quota exceeded",
    "pytorchstreamwriter failed writing",
)
_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "unable to allocate",
    "alloc_failed",
    "out_of_memory",
    "bad_alloc",
    "could not create a memory",
    "calling `cublascreate",
)
_WEIGHTS_WORDS = (
    "error while deserializing header",
    "incompletemetadata",
    "metadataincompletebuffer",
    "invalidheader",
    "headertoo",
    "safetensor",
)
_MISSING_WORDS = ("no file named", "error no file", "does not appear to have a file named")
_UNKNOWN_WORDS = ("does not recognize this architecture", "unrecognized model in")
_REMOTE_WORDS = ("trust_remote_code", "contains custom code")
_MISMATCH_WORDS = ("size mismatch", "target modules", "error(s) in loading state_dict")


def to_event(error: BaseException) -> Failed:
    """The last event of a job that ended by this exception."""
    told = to_error(error)
    return Failed(title=told.title, text=told.text, fix=told.fix, fault=told.title == FAULT)


def to_error(error: BaseException) -> StudioError:
    """The exception as something a person can act on; what nobody foresaw is named our fault."""
    for link in chain(error):
        if isinstance(link, StudioError):
            return link
        for recognise in _RECOGNISED:
            if told := recognise(link):
                return told
    first = str(error).strip().split("\n", 1)[0]
    return StudioError(
        FAULT,
        f"The engine ended by {type(error).__name__}: {first[:300] or 'no message'}.",
        "The full story is in engine.log in the job's folder; please report it.",
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a card or in the machine, and nobody has put it in words yet."""
    for link in chain(error):
        if isinstance(link, StudioError):
            return False
        if _memory(link) is not None:
            return True
    return False


def chain(error: BaseException) -> list[BaseException]:
    """The exception and what led to it, the last first."""
    links: list[BaseException] = []
    while error is not None and error not in links:
        links.append(error)
        following = error.__cause__ or error.__context__
        if following is None:
            break
        error = following
    return links


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)


def disk_full(error: BaseException) -> StudioError | None:
    """What to say where the disk would take no more; None for any other exception."""
    full = any(isinstance(each, OSError) and each.errno in _FULL for each in chain(error))
    if not full and not _says(error, _FULL_WORDS):
        return None
    return StudioError(
        "Disk is full",
        "There is no room left on the disk to save to; nothing half-written was left behind.",
        "Free some space, or move the studio's folder to a larger disk, then resume.",
    )


def _forbidden(error: BaseException) -> StudioError | None:
    if not isinstance(error, OSError) or error.errno not in _FORBIDDEN:
        return None
    return StudioError(
        "Folder is not writable",
        f"“{error.filename or 'A file'}” may not be written or read by this user.",
        "Choose a folder that belongs to you, or change its permissions.",
    )


def _memory(error: BaseException) -> StudioError | None:
    name = type(error).__name__
    if not isinstance(error, MemoryError) and name != "OutOfMemoryError":
        if not isinstance(error, RuntimeError | OSError | ValueError):
            return None
        if not _says(error, _MEMORY_WORDS):
            return None
    on_card = name == "OutOfMemoryError" or "cuda" in str(error).lower()
    where = "The graphics card" if on_card else "This computer"
    return StudioError(
        "Out of memory",
        f"{where} has not enough free memory for this job.",
        "Close other programs, lower the batch size or the maximum length, turn on gradient "
        "checkpointing, or choose QLoRA.",
    )


def _weights(error: BaseException) -> StudioError | None:
    if type(error).__name__ != "SafetensorError" or not _says(error, _WEIGHTS_WORDS):
        return None
    return StudioError(
        "Weights are damaged",
        "A safetensors file of the model or adapter is cut short or is no safetensors file.",
        "Download or copy the folder again.",
    )


def _shapes(error: BaseException) -> StudioError | None:
    if not isinstance(error, RuntimeError) or not _says(error, ("ignore_mismatched_sizes",)):
        return None
    return StudioError(
        "Weights and settings don't fit",
        "The weights have other shapes than the config.json beside them says.",
        "Download or copy the folder again; config.json and weights must be of one model.",
    )


def _missing(error: BaseException) -> StudioError | None:
    if not isinstance(error, OSError | ValueError) or not _says(error, _MISSING_WORDS):
        return None
    return StudioError(
        "Model folder is incomplete",
        f"A file that the model needs is missing: {_first_line(error)}",
        "Download or copy the whole folder again; weights must be safetensors files.",
    )


def _unknown(error: BaseException) -> StudioError | None:
    if not isinstance(error, ValueError | KeyError) or not _says(error, _UNKNOWN_WORDS):
        return None
    return StudioError(
        "Unknown architecture",
        f"This version of transformers can't build the model: {_first_line(error)}",
        "Choose another model, or update the studio if this architecture is new.",
    )


def _remote_code(error: BaseException) -> StudioError | None:
    if not isinstance(error, ValueError | OSError) or not _says(error, _REMOTE_WORDS):
        return None
    return StudioError(
        "Model wants to run its own code",
        "This model brings Python code of its own, which the studio does not run.",
        "Choose a model that transformers supports by itself.",
    )


def _mismatch(error: BaseException) -> StudioError | None:
    if not isinstance(error, RuntimeError | ValueError) or not _says(error, _MISMATCH_WORDS):
        return None
    return StudioError(
        "Adapter and model don't fit together",
        f"The adapter's layers aren't those of this model: {_first_line(error)}",
        "Choose the model that the adapter was made for, or other target modules.",
    )


def _config(error: BaseException) -> StudioError | None:
    if not isinstance(error, json.JSONDecodeError):
        return None
    return StudioError(
        "A settings file can't be read",
        f"A JSON file of the model is damaged ({_first_line(error)}).",
        "Download or copy the model folder again.",
    )


def _card(error: BaseException) -> StudioError | None:
    name = type(error).__name__
    if name != "AcceleratorError" and not (
        isinstance(error, RuntimeError) and str(error).startswith("CUDA error")
    ):
        return None
    return StudioError(
        "The graphics card reported an error",
        f"CUDA said: {_first_line(error)}",
        "Resume the run; if it happens again, restart the computer and update the driver.",
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = next((line for line in lines if not line.startswith("Error(s) in")), "no message")
    return text[:300].rstrip(".:") + "."


_RECOGNISED: tuple[Callable[[BaseException], StudioError | None], ...] = (
    disk_full,
    _forbidden,
    _memory,
    _weights,
    _shapes,
    _missing,
    _unknown,
    _remote_code,
    _mismatch,
    _config,
    _card,
)
