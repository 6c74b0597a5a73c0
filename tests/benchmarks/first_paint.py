"""From the start of the process to the first paint and to a window that answers.

    python -m tests.benchmarks.first_paint [--times 7]

Warm: the disk cache as it is. Cold (Linux, as root): the cache dropped before each start.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.numbers import distribution, report

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
DEADLINE = 60.0


def start_once(folder: Path) -> dict[str, float]:
    """One start; milliseconds until the first paint and until the window is interactive."""
    marks = folder / "marks.json"
    marks.unlink(missing_ok=True)
    environment = os.environ | {
        "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
        "FINETUNE_STUDIO_FIRST_PAINT": str(marks),
    }
    begun = time.time()
    window = subprocess.Popen(
        [sys.executable, "-m", "studio", "--home", str(folder / "home")], env=environment
    )
    try:
        while not marks.exists() or not marks.read_text(encoding="utf-8"):
            if time.time() - begun > DEADLINE or window.poll() is not None:
                raise SystemExit("The window did not open.")
            time.sleep(0.005)
        times = json.loads(marks.read_text(encoding="utf-8"))
    finally:
        window.terminate()
        window.wait()
    return {name: (at - begun) * 1000 for name, at in times.items()}


def measure(times: int, *, cold: bool, folder: Path) -> dict[str, dict[str, float]]:
    """Distributions of milliseconds over several starts."""
    seen: dict[str, list[float]] = {}
    for _ in range(times):
        if cold:
            os.sync()
            DROP_CACHES.write_text("3", encoding="ascii")
        for name, value in start_once(folder).items():
            seen.setdefault(name, []).append(value)
    return {name: distribution(values) for name, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_once(folder)
        report("first paint, warm, ms", measure(options.times, cold=False, folder=folder))
        if os.access(DROP_CACHES, os.W_OK):
            report("first paint, cold, ms", measure(options.times, cold=True, folder=folder))
        else:
            print("cold: not measured, the disk cache can't be dropped here")


if __name__ == "__main__":
    main()
