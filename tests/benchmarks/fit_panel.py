"""How long a keystroke takes until the fit panel shows it, and 200 models their badges.

    QT_QPA_PLATFORM=offscreen python -m tests.benchmarks.fit_panel [--keys 200]

A key is timed from its event until the window has painted what follows from it: the recipe read
and checked, the estimate, the panel, the step. Badges are timed from the wish until the last card
shows its own, with the longest turn of the event loop in between.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from PySide6.QtCore import QEvent, QEventLoop, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from studio.core.facts import DatasetReport, Gpu, Machine, ModelFacts
from studio.library import catalogue
from studio.library.folders import Home
from studio.ui import theme
from studio.ui.main_window import MainWindow
from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.hyper_step import HyperStep
from studio.ui.pages.new_run.method_step import MethodStep
from studio.ui.pages.new_run.model_step import ModelStep
from studio.ui.session import Session
from studio.ui.widgets import Field, ScrollArea
from tests.benchmarks.numbers import distribution, report

GIB = 1 << 30
FRAME = 16.0
CARDS = 200


def machine(total: float = 12.0, used: float = 1.9) -> Machine:
    """A machine with a card of so many GB."""
    gpu = Gpu(
        index=0,
        name="NVIDIA GeForce RTX 3060",
        total_bytes=int(total * GIB),
        used_bytes=int(used * GIB),
        free_bytes=int((total - used) * GIB),
        compute_capability=(8, 6),
    )
    return Machine(
        gpus=(gpu,), ram_total_bytes=32 * GIB, ram_free_bytes=20 * GIB, disk_free_bytes=300 * GIB
    )


def known(name: str) -> ModelFacts:
    """A model of the catalogue, as if it were on this machine."""
    return next(model for model in catalogue.known() if model.id == name).facts()


def settle() -> None:
    """Let the window do all that is due."""
    for _ in range(3):
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)


def wizard(session: Session) -> tuple[MainWindow, NewRunPage]:
    """The window on the wizard, with a model of 7 billion parameters that doesn't fit."""
    window = MainWindow(session)
    session.machine_changed.emit(machine())
    session.machine = machine()
    window.show()
    page = window.page("new_run")
    assert isinstance(page, NewRunPage)
    page.draft.know_machine(machine(), GIB // 2)
    page.draft.set_model("Qwen/Qwen2.5-7B-Instruct")
    page.draft.know_model(known("Qwen/Qwen2.5-7B-Instruct"))
    page.draft.know_dataset(
        DatasetReport(path="x", format="chat", confidence=1.0, rows=1000, usable_rows=1000,
                      tokens=400_000, trained_tokens=100_000, trained_share=0.25, max_tokens=900)
    )  # fmt: skip
    settle()
    return window, page


class Painted(QObject):
    """Sees a field being painted."""

    def __init__(self, edit: QWidget) -> None:
        super().__init__(edit)
        self._seen = 0
        edit.installEventFilter(self)

    def wait(self) -> None:
        """Let the window work until the field was painted anew, which happens in one go with all
        else that has changed."""
        seen = self._seen
        while self._seen == seen:
            QApplication.processEvents()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self._seen += event.type() == QEvent.Type.Paint
        return False


def keystrokes(
    page: NewRunPage, field: Field, keys: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds of each key typed into a field, until painted."""
    taken = []
    edit = field.editor
    shown = page.stack.currentWidget()
    assert isinstance(shown, ScrollArea)
    settle()
    shown.ensureWidgetVisible(edit)  # what is out of view is never painted
    edit.setFocus()
    settle()
    painted = Painted(edit)
    for index in range(keys):
        edit.setProperty("text", str(index // 9 + 1))  # each key makes a number never seen before
        settle()
        began = clock()
        QTest.keyClick(edit, Qt.Key.Key_1 + index % 9)
        painted.wait()
        taken.append((clock() - began) * 1e3)
    return taken


def badged(page: NewRunPage) -> tuple[float, list[float]]:
    """Milliseconds until all of CARDS models have their badges, and of each turn of the loop."""
    page.go(0)
    step = page.step(0)
    assert isinstance(step, ModelStep)
    every = catalogue.known()
    facts = [every[index % len(every)].facts() for index in range(CARDS)]
    named = [_renamed(each, index) for index, each in enumerate(facts)]
    step.cards.show_models(named)
    _wait(step)
    turns = []
    page.draft.know_machine(machine(24.0, 3.0), GIB // 2)
    began = time.perf_counter()
    step.cards.refresh()
    while step.cards.busy:
        turn = time.perf_counter()
        QApplication.processEvents()
        turns.append((time.perf_counter() - turn) * 1e3)
    return (time.perf_counter() - began) * 1e3, turns


def _wait(step: ModelStep) -> None:
    while step.cards.busy:
        QApplication.processEvents()
    settle()


def _renamed(facts: ModelFacts, index: int) -> ModelFacts:
    return msgspec.structs.replace(facts, path=f"/models/{index}", name=f"{facts.name} {index}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument(
        "--cpu", action="store_true", help="count processor time, on a machine that is busy"
    )
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication(["finetune-studio"])
    theme.install(app, theme.Mode.DARK)
    with tempfile.TemporaryDirectory() as name:
        session = Session(Home(Path(name)).make())
        window, page = wizard(session)
        figures = {}
        page.go(3)
        step = page.step(3)
        assert isinstance(step, HyperStep)
        step.more.click()
        for path in ("training.batch_size", "training.micro_batch_size"):
            figures[path] = distribution(
                keystrokes(page, step.form.fields[path], options.keys, clock)
            )
        page.go(2)
        method = page.step(2)
        assert isinstance(method, MethodStep)
        figures["lora.rank"] = distribution(
            keystrokes(page, method.form.fields["lora.rank"], options.keys, clock)
        )
        report("milliseconds from a key to the painted panel", figures)
        whole, turns = badged(page)
        report(f"{CARDS} models badged in {whole:.0f} ms", {"a turn": distribution(turns)})
        slow = [path for path, row in figures.items() if row["p99"] > FRAME]
        print("within a frame" if not slow else f"longer than a frame: {', '.join(slow)}")
        window.close()
        session.close()


if __name__ == "__main__":
    main()
