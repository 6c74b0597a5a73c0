"""Bring models into the studio's folder: from the hub, from a GGUF file, from another folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.client.actions.jobs import Asked, Hear, Progress, run_job
from studio.client.actions.merging import refuse_broken
from studio.client.actions.starter import download_starter
from studio.client.cancelled import Cancelled
from studio.client.keeper import Keeper, Orders
from studio.client.preparer import Preparer
from studio.core.commands import Import
from studio.core.errors import StudioError
from studio.library import models, settings
from studio.library.files import whole_folder
from studio.library.folders import Home, free_path, legal_name
from studio.library.models.shelf import hub_folder

KEPT = frozenset({".json", ".safetensors", ".txt", ".jinja", ".model", ".md", ".tiktoken"})


def download_model(
    home: Home,
    name: str,
    revision: str = "",
    *,
    preparer: Preparer | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """A hub model (organisation/name) or "starter" in the studio's folder; resumes."""
    if name == models.STARTER:
        return download_starter(home, progress=progress, cancelled=cancelled)
    if preparer is None:
        with Preparer(home) as own:
            return download_model(
                home, name, revision, preparer=own, progress=progress, cancelled=cancelled
            )
    token = settings.token(home) or ""
    return preparer.download(
        name,
        revision,
        hub_folder(home, name),
        token,
        on_progress=progress,
        cancelled=cancelled,
    )


def import_model(
    home: Home,
    source: Path,
    name: str = "",
    *,
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """A GGUF file or a model folder as a model in the studio's folder."""
    path = source.expanduser().absolute()
    if path.is_dir():
        return import_folder(home, path, name, progress=progress, cancelled=cancelled)
    return import_gguf(home, path, name, keeper=keeper, hear=hear, orders=orders)


def import_gguf(
    home: Home,
    source: Path,
    name: str = "",
    *,
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> Path:
    """Turn a GGUF file into a safetensors model folder; StudioError where it is none."""
    _refuse_no_gguf(source)
    title = name or source.stem
    target = free_path(home.models, legal_name(title, "model"))
    job = Import(source=str(source), out=str(target), name=title)
    run_job(home, job, "The import", keeper=keeper, hear=hear, orders=orders)
    return target


def import_folder(
    home: Home,
    source: Path,
    name: str = "",
    *,
    progress: Progress | None = None,
    cancelled: Asked | None = None,
) -> Path:
    """Copy a model folder; StudioError where it can't be used. Only its own files are copied."""
    refuse_broken(source)
    files = [path for path in sorted(source.iterdir()) if path.is_file() and path.suffix in KEPT]
    files += [path for path in source.glob("LICENSE*") if path not in files and path.is_file()]
    target = free_path(home.models, legal_name(name or source.name, "model"))
    total, copied = sum(path.stat().st_size for path in files) or 1, 0
    with whole_folder(target) as temporary:
        for path in files:
            if cancelled and cancelled():
                raise Cancelled("The import")
            if progress:
                progress(f"Copying {path.name}", copied / total)
            shutil.copyfile(path, temporary / path.name)
            copied += path.stat().st_size
    return target


def _refuse_no_gguf(source: Path) -> None:
    try:
        with source.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise StudioError(
            "The file can't be read",
            f"{source}: {error.strerror or error}.",
            "Choose a GGUF file or a model folder that exists.",
        ) from error
    if magic != b"GGUF":
        raise StudioError(
            "Not a GGUF file",
            f"{source.name} does not begin as a GGUF file does.",
            "Choose a GGUF file, or a folder with config.json and safetensors weights.",
        )
