"""Serve a model and adapters to programs of this machine, for as long as the client stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Hear, run_job
from studio.client.keeper import Keeper, Orders
from studio.core.commands import Serve
from studio.core.errors import StudioError
from studio.library import adapter_files, jobs, parts
from studio.library.folders import Home

MOST_PORTS = 65535


def serve(
    home: Home,
    model: Path,
    adapters: Sequence[Path] = (),
    *,
    port: int = 0,
    dtype: str = "auto",
    bits: str = "auto",
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Answer until an order ends it; the address and how many requests there were.

    `hear` gets the event Serving once programs can connect, and again as requests come. The key
    that they need is in library/serving.py.
    """
    job = serving_job(model, adapters, port=port, dtype=dtype, bits=bits)
    jobs.sweep_over(home, "serve")
    return run_job(home, job, "The server", keeper=keeper, hear=hear, orders=orders)


def serving_job(
    model: Path,
    adapters: Sequence[Path] = (),
    *,
    port: int = 0,
    dtype: str = "auto",
    bits: str = "auto",
) -> Serve:
    """What an engine is given. Raises StudioError where it could only fail."""
    parts.need("server")
    if not 0 <= port <= MOST_PORTS:
        raise StudioError(
            "No such port",
            f"There is no port {port}.",
            f"Choose one between 1024 and {MOST_PORTS}, or leave it away for a free one.",
        )
    for adapter in adapters:
        adapter_files.check_shapes(adapter, model)
    return Serve(
        model=str(model), adapters=tuple(map(str, adapters)), dtype=dtype, bits=bits, port=port
    )
