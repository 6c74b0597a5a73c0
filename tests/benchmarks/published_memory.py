"""The estimates beside published runs, by source: `python -m tests.benchmarks.published_memory`."""

from __future__ import annotations

from statistics import fmean

from tests.support.published import GB, Compared, Reading, compared

READINGS = {
    "attention isn't passed on": Reading(attention=False),
    "chunked where the note says so": Reading(chunked=()),
    "levers are passed on": Reading(levers=True),
    "all beside what is expected": Reading(metric=False),
}


def main() -> None:
    """Print each row, then each source's errors, then all."""
    found = compared()
    for one in sorted(found, key=lambda one: (one.source, one.id)):
        parts = {name: f"{size / GB:.2f}" for name, size in one.estimate.parts.items()}
        below = " <" if one.upper < one.measured else ""
        print(
            f"{one.id:<14} {one.model:<26} {one.row['method']:<18} "
            f"{one.measured / GB:7.2f} {one.expected / GB:7.2f} {one.error:+7.1%}{below}  "
            f"{one.estimate.peak_phase} {' '.join(f'{k}={v}' for k, v in parts.items())}"
        )
    for source in sorted({one.source for one in found}):
        _summary(source, [one for one in found if one.source == source])
    _summary("all", found)
    print("Read otherwise:")
    for name, reading in READINGS.items():
        _summary(name, compared(reading))


def _summary(name: str, found: list[Compared]) -> None:
    errors = [one.error for one in found]
    below = sum(one.upper < one.measured for one in found)
    print(
        f"{name:<30} {len(found):3} rows, mean absolute error {fmean(map(abs, errors)):6.1%}, "
        f"mean {fmean(errors):+6.1%}, worst {max(errors, key=abs):+6.1%}, "
        f"upper bound below the peak: {below}"
    )


if __name__ == "__main__":
    main()
