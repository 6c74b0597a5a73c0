"""Opens the window. Imports Qt alone: everything else waits until the first paint is done."""

from __future__ import annotations

import argparse
import json
import logging
import logging.handlers
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from studio.core.errors import StudioError
from studio.library import resources
from studio.library.folders import Home, default_root
from studio.library.locks import Lock
from studio.ui import theme
from studio.ui.icons import app_icon
from studio.ui.main_window import MainWindow
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog

FIRST_PAINT = "FINETUNE_STUDIO_FIRST_PAINT"
"""Names a file that gets the times (seconds since the epoch) of first paint and first idle."""

log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Open the window on a home folder (`--home DIR`); the exit status."""
    parser = argparse.ArgumentParser(prog="finetune-studio")
    parser.add_argument("--home", type=Path, default=None, metavar="DIR")
    options = parser.parse_args(argv)
    home = Home(options.home.expanduser().absolute() if options.home else default_root())
    app = QApplication.instance() or QApplication(["finetune-studio"])
    assert isinstance(app, QApplication)
    app.setApplicationName("finetune-studio")
    app.setApplicationDisplayName("Finetune Studio")
    app.setDesktopFileName("finetune-studio")
    return run(app, home)


def run(app: QApplication, home: Home) -> int:
    """Show the window until it is closed; 1 where it can't be opened."""
    theme.install(app, fonts=[str(path) for path in _fonts()])
    lock = Lock(home.root / "window.lock")
    try:
        home.make()
        taken = lock.acquire()
    except StudioError as error:
        return _say_no(error.title, f"{error.text} {error.fix}")
    except OSError as error:
        return _say_no(*_not_writable(home, error))
    if not taken:
        return _say_no(*_already_open(home))
    try:
        return _show(app, home)
    finally:
        lock.release()


def _show(app: QApplication, home: Home) -> int:
    start_log(home)
    session = Session(home)
    session.theme.apply(session.settings.theme)
    app.setWindowIcon(app_icon())
    window = MainWindow(session)
    hooks = sys.excepthook, threading.excepthook
    catch_everything(session)
    window.painted.connect(lambda: _painted(session))
    window.show()
    try:
        return app.exec()
    finally:
        sys.excepthook, threading.excepthook = hooks
        session.close()


def _painted(session: Session) -> None:
    first = time.time()

    def idle() -> None:
        if wanted := os.environ.get(FIRST_PAINT):
            times = {"first_paint": first, "interactive": time.time()}
            Path(wanted).write_text(json.dumps(times), encoding="utf-8")
        session.start()

    QTimer.singleShot(0, idle)


def start_log(home: Home) -> None:
    """Keep what goes wrong in logs/window.log, at most two files of 1 MB."""
    handler = logging.handlers.RotatingFileHandler(
        home.logs / "window.log", maxBytes=1 << 20, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def catch_everything(session: Session) -> None:
    """An error nobody caught goes to the log whole and to the window as a sentence."""

    def caught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        log.critical("not caught", exc_info=(kind, error, trace))
        session.failed.emit(_as_advice(error))

    sys.excepthook = caught
    threading.excepthook = lambda args: caught(
        args.exc_type, args.exc_value or RuntimeError(), args.exc_traceback
    )


def _as_advice(error: BaseException) -> StudioError:
    if isinstance(error, StudioError):
        return error
    return StudioError(
        "Something went wrong in the window",
        f"{type(error).__name__}: {error}. What trains is not affected.",
        "Try again; the details are in the file window.log in the studio's folder logs.",
    )


def _fonts() -> list[Path]:
    folder = resources.path("fonts")
    return sorted([*folder.glob("*.otf"), *folder.glob("*.ttf")])


def _already_open(home: Home) -> tuple[str, str]:
    return (
        "The studio is already open",
        f"Another window is open on the library {home.root}. Use that one, or start with "
        "--home and another folder.",
    )


def _not_writable(home: Home, error: OSError) -> tuple[str, str]:
    return (
        "The studio's folder can't be used",
        f"{home.root} can't be written ({error.strerror or error}). Make it writable, or start "
        "with --home and another folder.",
    )


def _say_no(title: str, text: str) -> int:
    """Say it on standard error, and in a dialog where there is a screen to show one."""
    print(text, file=sys.stderr)
    if QApplication.platformName() not in ("offscreen", "minimal"):
        ConfirmDialog(None, title, text, [], cancel="Close").ask()
    return 1
