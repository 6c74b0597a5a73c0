"""The studio's window on one run, which writes down the steps on its plot as they come.

python -m tests.chaos.window HOME RUN FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget

from studio.library.files import write_whole
from studio.library.folders import Home
from studio.ui import theme
from studio.ui.main_window import MainWindow
from studio.ui.session import Session
from studio.ui.tables.run_series import RunSeries

LOOK_MS = 50


def series_of(window: QWidget) -> RunSeries | None:
    """What the plots of the run in view are drawn from."""
    for widget in window.findChildren(QWidget):
        for value in vars(widget).values():
            if isinstance(value, RunSeries):
                return value
    return None


def main() -> None:
    home, run, file = Home(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
    app = QApplication(["finetune-studio"])
    theme.install(app, fonts=[])
    session = Session(home)
    window = MainWindow(session)
    window.painted.connect(lambda: QTimer.singleShot(0, session.start))
    session.started.connect(lambda: session.open_run.emit(run))
    window.show()

    def note() -> None:
        if (series := series_of(window)) is not None:
            write_whole(file, json.dumps(series.train.x.tolist()))

    timer = QTimer(interval=LOOK_MS)
    timer.timeout.connect(note)
    timer.start()
    app.exec()


if __name__ == "__main__":
    main()
