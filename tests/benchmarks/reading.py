"""Rows a second for reading and tokenizing against `datasets`, first rows, and memory.

    python -m tests.benchmarks.reading --model DIR [--rows 20000] [--times 5] [--sizes 1000 100000]

Each side works in a process of its own, in turn (ABAB); what is timed begins after the imports.
Tokenizing is chats to a file of ids and labels: the studio's with all that its reports check.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from studio.client.preparer import Preparer
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library.folders import Home
from tests.benchmarks.numbers import report

WORDS = Path(__file__).parent.parent / "sample_words.txt"
SIDES = ("studio", "datasets")


def write(path: Path, rows: int) -> Path:
    """Chats of about a kilobyte, one a line."""
    words = WORDS.read_text("utf-8").split()
    draw = random.Random(rows)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            asked, said = (" ".join(draw.choices(words, k=count)) for count in (50, 80))
            turns = [("user", asked), ("assistant", said)]
            chat = [{"role": role, "content": text} for role, text in turns]
            file.write(json.dumps({"messages": chat}) + "\n")
    return path


def studio_read(path: Path, _model: Path, _folder: Path) -> Callable[[], object]:
    from studio.preparer.formats import read

    return lambda: sum(len(record.values["messages"]) for record in read(path))


def datasets_read(path: Path, _model: Path, folder: Path) -> Callable[[], object]:
    from datasets import load_dataset

    def work() -> object:
        rows = load_dataset(
            "json", data_files=str(path), split="train", streaming=True, cache_dir=str(folder)
        )
        return sum(len(row["messages"]) for row in rows)

    return work


def studio_tokenize(path: Path, model: Path, folder: Path) -> Callable[[], object]:
    from studio.preparer.prepare import prepare

    recipe = Recipe(model=ModelPart(path=str(model)), dataset=(DatasetPart(path=str(path)),))
    return lambda: prepare(folder / "run", recipe, model)


def datasets_tokenize(path: Path, model: Path, folder: Path) -> Callable[[], object]:
    """As recipes for fine-tuning do it: the chat and its prompt through the template, both to
    ids, and labels for what the prompt doesn't hold."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)

    def tokenized(batch: dict[str, Any]) -> dict[str, Any]:
        chats = batch["messages"]
        whole = tokenizer.apply_chat_template(chats, tokenize=False)
        asked = tokenizer.apply_chat_template(
            [chat[:-1] for chat in chats], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
        before = tokenizer(asked, add_special_tokens=False)["input_ids"]
        pairs = zip(ids, map(len, before), strict=True)
        return {"input_ids": ids, "labels": [[-100] * n + row[n:] for row, n in pairs]}

    def work() -> object:
        rows = load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder))
        return rows.map(tokenized, batched=True, remove_columns=["messages"])

    return work


def one(side: str, what: str, path: Path, model: Path) -> None:
    """In a process of its own: the seconds that the work takes, on standard output."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work = globals()[f"{side}_{what}"](path, model, Path(folder))
        begun = time.perf_counter()
        work()
        print(time.perf_counter() - begun)


def compare(what: str, path: Path, model: Path, rows: int, times: int) -> dict[str, float]:
    """Medians of rows a second of either side, and their ratio."""
    seen: dict[str, list[float]] = {side: [] for side in SIDES}
    command = [sys.executable, "-m", "tests.benchmarks.reading", "--one"]
    for _ in range(times):
        for side in SIDES:
            done = subprocess.run(
                [*command, side, what, str(path), str(model)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            )
            seen[side].append(rows / float(done.stdout.split()[-1]))
    medians = {side: statistics.median(values) for side, values in seen.items()}
    return {**medians, "ratio": medians["studio"] / medians["datasets"]}


class Peak:
    """The most memory that the preparer's processes take, above what they took at the start."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._idle = self._taken()
        self.highest = 0

    def _taken(self) -> int:
        total = 0
        for child in self._own.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.highest = max(self.highest, self._taken() - self._idle)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def scale(folder: Path, model: Path, rows: int) -> dict[str, float]:
    """First rows with a process that is to be started, with one that waits, and while the report
    is made; the report's seconds and memory; seconds for a far row."""
    path = write(folder / f"{rows}.jsonl", rows)
    part = DatasetPart(path=str(path))
    with Preparer(Home(folder / "home")) as preparer:

        def timed(ask: Callable[[], object]) -> float:
            begun = time.perf_counter()
            ask()
            return time.perf_counter() - begun

        cold = timed(lambda: preparer.peek(part))
        warm = timed(lambda: preparer.peek(part))
        small = write(folder / "small.jsonl", 100)
        preparer.inspect([DatasetPart(path=str(small))], model)  # which starts what is idle then
        with Peak() as peak:
            inspected = timed(lambda: preparer.inspect([part], model))
        far = timed(lambda: preparer.examples([part], model, start=rows - 1, count=1))
        again = timed(lambda: preparer.examples([part], model, start=rows // 2, count=1))
    path.unlink()
    return {
        "first rows, cold s": cold,
        "warm s": warm,
        "report s": inspected,
        "report MB": peak.highest / 1e6,
        "far row s": far,
        "another s": again,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10**3, 10**4, 10**5, 10**6])
    parser.add_argument("--model", type=Path, required="--one" not in sys.argv)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, what, path, model = options.one
        one(side, what, Path(path), Path(model))
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        path = write(folder / "rows.jsonl", options.rows)
        whats = ("read", "tokenize")
        found = {
            what: compare(what, path, options.model, options.rows, options.times) for what in whats
        }
        report("rows a second", found)
        sizes = {f"{rows:,} rows": scale(folder, options.model, rows) for rows in options.sizes}
        report("first rows and memory", sizes)


if __name__ == "__main__":
    main()
