"""What a handful of measurements says."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def distribution(values: Sequence[float]) -> dict[str, float]:
    """Count, median, 99th percentile and largest."""
    return {
        "n": len(values),
        "p50": statistics.median(values),
        "p99": percentile(values, 0.99),
        "max": max(values),
    }


def report(title: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Print one line a figure."""
    print(title)
    for name, row in figures.items():
        print(
            "  " + name.ljust(24) + "  ".join(f"{key} {value:,.1f}" for key, value in row.items())
        )
