"""Findings over many rows: what is kept of each is small, and numbers alone."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

BYTES_A_ROW = 800
"""What a report may keep of a row at its peak, sorting included."""

SCRIPT = """
import sys, threading, time, psutil
from pathlib import Path
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import report
own = psutil.Process()
small, large = Path(sys.argv[1]), Path(sys.argv[2])
report.inspect((DatasetPart(path=str(small)),), None, DataPart())
before = peak = own.memory_info().rss
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.05):
        peak = max(peak, own.memory_info().rss)
thread = threading.Thread(target=watch)
thread.start()
begun = time.monotonic()
told = [begun]
longest = 0.0
def tell(text, share):
    global longest
    longest = max(longest, time.monotonic() - told[0])
    told[0] = time.monotonic()
made = report.inspect((DatasetPart(path=str(large)),), None, DataPart(), tell)
done.set()
thread.join()
print(made.rows, {one.key: one.count for one in made.findings}["duplicate"], peak - before,
      time.monotonic() - begun, longest)
"""


def write(path: Path, count: int) -> None:
    """Rows of some thirty words; every hundredth repeats the first."""
    draw = random.Random(count)
    words = [f"word{number}" for number in range(3000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            said = draw.choices(words, k=30) if number % 100 else words[:30]
            row = {"prompt": " ".join(said[:10]), "completion": " ".join(said[10:])}
            file.write(json.dumps(row) + "\n")


def measured(folder: Path, count: int) -> tuple[int, int, int, float, float]:
    write(folder / "small.jsonl", 2000)
    write(folder / "large.jsonl", count)
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        str(folder / "small.jsonl"),
        str(folder / "large.jsonl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, copies, grown, seconds, silent = done.stdout.split()
    return int(rows), int(copies), int(grown), float(seconds), float(silent)


def test_a_report_keeps_little_of_each_row(tmp_path: Path) -> None:
    rows, copies, grown, _, _ = measured(tmp_path, 60_000)
    assert (rows, copies) == (60_000, 599)
    assert grown < 60_000 * BYTES_A_ROW + (24 << 20)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_million_rows_stay_below_a_gigabyte(tmp_path: Path) -> None:
    rows, copies, grown, seconds, silent = measured(tmp_path, 1_000_000)
    print(f"{grown >> 20} MiB, {seconds:.0f} s, longest silence {silent:.1f} s")
    assert (rows, copies) == (1_000_000, 9999)
    assert grown < 1 << 30
    assert silent < 2
