"""Score answers to held-out rows, with the bare model and with the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.client.actions.jobs import Hear, run_job
from studio.client.keeper import Keeper, Orders
from studio.core.commands import Score
from studio.library.folders import Home


def score(
    home: Home,
    model: Path,
    rows: Path,
    adapter: Path | None = None,
    *,
    limit: int = 0,
    keeper: Keeper | None = None,
    hear: Hear | None = None,
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Shares from 0 to 1 of exactly right answers: metric_before, metric_after, rows, examples."""
    job = Score(
        model=str(model), rows=str(rows), adapter=str(adapter) if adapter else "", limit=limit
    )
    return run_job(home, job, "Scoring", keeper=keeper, hear=hear, orders=orders)
