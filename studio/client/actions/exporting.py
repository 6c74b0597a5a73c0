"""Export an adapter on its base, or a model, in a form that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Asked, Hear, Progress, run_job
from studio.client.actions.merging import free_out, refuse_broken
from studio.client.keeper import Keeper, Orders
from studio.client.preparer import Preparer
from studio.core import exporting, hub
from studio.core.commands import Export
from studio.core.errors import StudioError
from studio.core.passport import reasons
from studio.library import adapters, exports, parts, settings
from studio.library.folders import Home


def export(
    home: Home, wanted: Export, *, keeper: Keeper | None = None, hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Do an export: path, bytes, seconds and the passport, None where it wasn't checked.

    For `wanted` see `export_job`.
    """
    return run_job(home, wanted, "Exporting", keeper=keeper, hear=hear, orders=orders)


def export_job(
    home: Home, format: str, out: Path, *, adapter: Path | None = None, model: Path | None = None,
    **choices: Any,
) -> Export:  # fmt: skip
    """The job of an export, its target and its base looked after. `choices` are fields of Export.

    `model` is what is exported, or the base of the adapter; without it the base that the adapter
    was trained on is looked for. Raises StudioError where something of it won't do.
    """
    known = exporting.find(format)
    parts.need(*known.parts)
    exporting.quantization(known, str(choices.get("quantization", "")))
    _check_dtype(known, str(choices.get("dtype", "auto")))
    target = free_out(home, out)
    if model is None and adapter is None:
        raise StudioError(
            "Nothing to export", "Neither an adapter nor a model was named.", "Name one of them."
        )
    if model is None and adapter is not None:
        model = adapters.base_of(home, adapters.facts(adapter))
    else:
        assert model is not None
        refuse_broken(model)
    return Export(
        format=format,
        out=str(target),
        model=str(model),
        adapter=str(adapter) if adapter else "",
        **choices,
    )


def push(
    home: Home, folder: Path, repo: str, *, private: bool = True, preparer: Preparer | None = None,
    progress: Progress | None = None, cancelled: Asked | None = None,
) -> str:  # fmt: skip
    """Put an export into a repository of the hub (owner/name); the address of its page.

    Raises StudioError where the name won't do, its passport is failed, the token is missing or the
    hub refuses.
    """
    if preparer is None:
        with Preparer(home) as own:
            return push(
                home, folder, repo, private=private, preparer=own, progress=progress,
                cancelled=cancelled,
            )  # fmt: skip
    hub.check_name(repo)
    if not folder.is_dir():
        raise StudioError("No such folder", f"There is no folder {folder}.", "Name an export.")
    refuse_failed(folder)
    token = settings.token(home) or ""
    return preparer.upload(folder, repo, token, private, progress, cancelled)


def refuse_failed(folder: Path) -> None:
    """StudioError for an export whose passport says that it answers otherwise."""
    checked = exports.passport_in(folder)
    if checked and checked.grade == "fail":
        raise StudioError(
            "This export failed its check",
            " ".join(reason.text for reason in reasons(checked)),
            "Export again as its passport says; what fails isn't pushed.",
        )


def _check_dtype(known: exporting.Format, dtype: str) -> None:
    if dtype != "auto" and dtype not in known.dtypes:
        raise StudioError(
            "Unknown number format",
            f"{known.title} has no number format {dtype}.",
            f"Use one of {', '.join(known.dtypes)}." if known.dtypes else "Leave it away.",
        )
