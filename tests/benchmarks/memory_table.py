"""How far the arithmetic of memory is off, by architecture and method.

`python -m tests.benchmarks.memory_table` runs every case of the tests (`--wide`: of the wider
sweep as well) and prints the mean and the worst error of each architecture and method.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import memory_cases, tiny_model
from tests.support.measured_memory import Bench, Case, Result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wide", action="store_true", help="the wider sweep too (minutes)")
    parser.add_argument("--kind", default="", help="this architecture alone")
    options = parser.parse_args()
    cases = memory_cases.usual() + (memory_cases.wide() if options.wide else ())
    chosen = [case for case in cases if options.kind in ("", case.kind)]
    warnings.simplefilter("ignore")
    found = measured(chosen)
    print(table(found))
    worst = max(found, key=lambda one: abs(one.error))
    mean = sum(abs(one.error) for one in found) / len(found)
    print(f"\n{len(found)} configurations: mean absolute error {mean:.2%}")
    print(f"worst {worst.error:+.2%}: {worst.case}")


def measured(cases: Sequence[Case]) -> list[Result]:
    """Each case's result, one line printed for each."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bench = Bench(folder, tiny_model.build(folder / "tokenizer"))
        for case in cases:
            with pytest.MonkeyPatch.context() as patch:
                result = bench.measure(case, patch)
            print(f"{result.error:+.2%} of {result.true / 1e6:.0f} MB: {case}", flush=True)
            found.append(result)
    return found


def table(results: Sequence[Result]) -> str:
    """Mean and worst error by architecture and method, as Markdown."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in results:
        groups[(one.case.kind, one.case.method)].append(one.error)
    lines = ["", "| architecture | method | cases | mean | worst |", "|---|---|---|---|---|"]
    for (kind, method), errors in sorted(groups.items()):
        mean = sum(map(abs, errors)) / len(errors)
        worst = max(errors, key=abs)
        lines.append(f"| {kind} | {method} | {len(errors)} | {mean:.2%} | {worst:+.2%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
