"""A real window that shows one run for a while, on request with a timer that notes its lateness."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from studio.library.folders import Home
from studio.ui import theme
from studio.ui.main_window import MainWindow
from studio.ui.session import Session

TICK_MS = 10
SETTLE_MS = 3000


class Lateness:
    """Milliseconds by which each tick of a 10 ms timer came later than it should."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._last = 0.0

    def start(self) -> None:
        self._last = time.perf_counter()
        self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.values.append(max(0.0, (now - self._last) * 1000 - TICK_MS))
        self._last = now


def main() -> None:
    home, folder, seconds = Home(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])
    ticking = "--ticking" in sys.argv
    app = QApplication([])
    theme.install(app, fonts=[])
    session = Session(home)
    session.theme.apply("dark")
    window = MainWindow(session)
    window.painted.connect(lambda: QTimer.singleShot(0, session.start))
    session.started.connect(lambda: session.open_run.emit(folder))
    window.show()
    late = Lateness()
    marks: list[float] = []

    def begin() -> None:
        marks.append(time.time())
        if ticking:
            late.start()
        QTimer.singleShot(int(seconds * 1000), lambda: app.exit(0))  # quit() would ask first

    QTimer.singleShot(SETTLE_MS, begin)
    app.exec()
    end = time.time()
    session.close()
    print(json.dumps({"begin": marks[0], "end": end, "late_ms": late.values}))


if __name__ == "__main__":
    main()
