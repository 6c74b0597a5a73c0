"""Large sets: the first rows at once, and memory that doesn't grow with what is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, psutil, threading
from pathlib import Path
from studio.core.recipe import DataPart, DatasetPart
from studio.preparer import lens, report
from studio.preparer.first_rows import first_rows
path, idle = sys.argv[1], sys.argv[2]
own = psutil.Process()
report.inspect([DatasetPart(path=idle)], None, DataPart())
before = peak = own.memory_info().rss
asked = 0
def tell(*_):
    global asked, peak
    asked += 1
    peak = max(peak, own.memory_info().rss)
first = first_rows(DatasetPart(path=path))
assert asked == 0 and len(first.rows) == 12
rows = report.inspect([DatasetPart(path=path)], None, DataPart(), tell).rows
print(rows, max(peak, own.memory_info().rss) - before)
"""


def write(path: Path, rows: int, words: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            said = " ".join(f"word{(row * 31 + i * i) % 9973}" for i in range(words))
            file.write(json.dumps({"prompt": f"What is {row}?", "completion": said}) + "\n")
    return path


@pytest.mark.parametrize(
    ("rows", "words", "ceiling"),
    [
        pytest.param(20_000, 40, 60 << 20),
        pytest.param(1_000_000, 100, 1 << 30, marks=pytest.mark.slow),
    ],
)
def test_memory_stays_bounded(tmp_path: Path, rows: int, words: int, ceiling: int) -> None:
    large, small = write(tmp_path / "a.jsonl", rows, words), write(tmp_path / "b.jsonl", 500, 5)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(large), str(small)],
        capture_output=True,
        text=True,
        check=True,
    )
    counted, grown = map(int, done.stdout.split())
    assert counted == rows
    assert grown < ceiling
