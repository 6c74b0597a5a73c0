"""Before the computer sleeps or shuts down after the queue: how long, and a way to stop it."""

from __future__ import annotations

import time

from PySide6.QtCore import QTimer, Signal

from studio.core.queue import Queue
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage

TICK_MILLISECONDS = 500
WORDS = {
    "sleep": ("The computer is going to sleep", "It sleeps in {seconds} s.", "Don't sleep"),
    "shut-down": (
        "The computer is going to shut down",
        "It shuts down in {seconds} s. Save what is open in other programs.",
        "Don't shut down",
    ),
}


class Countdown(InlineMessage):
    """Shown while the keeper counts down; calling it off is asked of the keeper."""

    turned = Signal()
    """It was shown or hidden."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._queue = Queue()
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MILLISECONDS)
        self._timer.timeout.connect(self._tick)
        self.acted.connect(lambda: session.worker.queue_run(False, "nothing"))
        session.queue_changed.connect(self._moved)

    def _moved(self, queue: Queue) -> None:
        self._queue = queue
        counting = queue.then_at > 0 and queue.then in WORDS
        if not counting and self._timer.isActive():
            self._timer.stop()
            self.dismiss()
            self.turned.emit()
        elif counting and not self._timer.isActive():
            self._timer.start()
            self._tick()
            self.turned.emit()

    def _tick(self) -> None:
        title, text, action = WORDS[self._queue.then]
        left = max(0, round(self._queue.then_at - time.time()))
        said = f"All runs of the queue are done. {text.format(seconds=left)}"
        self.show_message(title, said, "", "warn", action)
