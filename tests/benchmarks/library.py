"""How long a library of many adapters takes to open, to search and to change.

    python -m tests.benchmarks.library [--adapters 1000] [--times 5]

Each adapter is of the size that a LoRA of rank 8 on 30 layers has on disk in tensors (420), its
values aside. Printed are milliseconds: without the index (the first time ever), with it, after one
adapter changed, a search by every word, and in the window: from showing the page until the list is
painted, and the longest turn of the window's thread meanwhile. The goal: open in 1,000 ms.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from studio.library import adapters
from studio.library.adapters import AdapterFacts, search
from studio.library.adapters.facts import record
from studio.library.folders import Home
from tests.benchmarks.numbers import distribution, report
from tests.support.adapter_files import write_adapter

LAYERS, HOUR = 30, 3600
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def one(folder: Path) -> Path:
    """A PEFT folder with as many tensors as a real one."""
    write_adapter(folder, r=2, target_modules=list(MODULES))
    tensors = {}
    for layer in range(LAYERS):
        for module in MODULES:
            part = "mlp" if "_proj" in module and module[0] in "gud" else "self_attn"
            stem = f"base_model.model.model.layers.{layer}.{part}.{module}.lora_"
            tensors[f"{stem}A.weight"] = np.zeros((2, 16), np.float16)
            tensors[f"{stem}B.weight"] = np.zeros((16, 2), np.float16)
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def filled(home: Home, count: int, source: Path) -> None:
    """As if they had been made over a long time: their files were written an hour ago."""
    then = time.time() - HOUR
    first = adapters.add(home, source, "adapter 0", AdapterFacts(base="tiny", method="lora"))
    for number in range(count):
        folder = home.adapters / f"adapter-{number}"
        if folder != first:
            shutil.copytree(first, folder)
        known = AdapterFacts(
            name=f"adapter {number}", base="tiny", method="lora", notes=f"note of {number}",
            tags=("shop",) if number % 3 else ("fun",), created_at=then - number,
        )  # fmt: skip
        record(folder, known)
        for file in folder.iterdir():
            os.utime(file, (then, then))


def opened_page(home: Home, count: int) -> tuple[float, float]:
    """Until the page's list is painted, and the longest turn of the event loop meanwhile."""
    from PySide6.QtWidgets import QApplication

    from studio.ui.pages.library import LibraryPage
    from studio.ui.session import Session

    app = QApplication.instance() or QApplication([])
    session = Session(home)
    begun = time.perf_counter()
    page = LibraryPage(session)
    page.resize(1056, 800)
    page.show()
    longest = 0.0
    while page.model.total < count:
        turn = time.perf_counter()
        app.processEvents()
        longest = max(longest, time.perf_counter() - turn)
    page.list.viewport().repaint()
    took = 1000 * (time.perf_counter() - begun)
    page.hide()
    session.close()
    return took, 1000 * longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapters", type=int, default=1000)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory(prefix="library-") as place:
        home = Home(Path(place) / "home").make()
        filled(home, options.adapters, one(Path(place) / "made"))
        times = range(options.times)
        index = home.cache / "adapters.json"

        def anew() -> float:
            index.unlink(missing_ok=True)
            return milliseconds(lambda: adapters.listing(home))

        def changed(number: int) -> float:
            adapters.rename(home, home.adapters / f"adapter-{number}", f"renamed {number}")
            return milliseconds(lambda: adapters.listing(home))

        first = [anew() for _ in times]
        again = [milliseconds(lambda: adapters.listing(home)) for _ in times]
        rows = adapters.listing(home)
        words = [milliseconds(lambda: search.found(rows, "shop note 77")) for _ in times]
        pages = [opened_page(home, options.adapters) for _ in times]
        figures = {
            "read for the first time": first,
            "read again": again,
            "after one was renamed": [changed(number) for number in times],
            "search": words,
            "page until painted": [took for took, _ in pages],
            "longest turn meanwhile": [longest for _, longest in pages],
        }
    report(
        f"{options.adapters} adapters of {2 * LAYERS * len(MODULES)} tensors, ms",
        {name: distribution(values) for name, values in figures.items()},
    )


if __name__ == "__main__":
    main()
