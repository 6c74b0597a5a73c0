"""What becomes of the training when the window is closed."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.core.commands import Pause, Stop
from studio.ui.session import Session
from studio.ui.widgets import ConfirmDialog

ANSWERS = (
    ("stop", "Stop and keep", ""),
    ("pause", "Pause", ""),
    ("keep", "Keep training", "primary"),
)
_ENDS = {"pause": Pause, "stop": Stop}


def ask(window: QWidget, session: Session) -> str:
    """keep, pause, stop, or "" to stay."""
    queue = session.queue
    more = ", and the queue with it" if queue.running and queue.waiting else ""
    return ConfirmDialog(
        window,
        "A run is training",
        f"It can go on in the background{more}: the next window shows it as it stands. Pausing "
        "saves it and gives its memory back. Stopping ends it and keeps what it has learnt.",
        ANSWERS,
        icon_name="activity",
    ).ask()


def carry_out(session: Session, answer: str) -> None:
    """Have the trainings ended as answered, and the queue start nothing in their place."""
    if answer not in _ENDS:
        return
    if session.queue.running:
        session.worker.queue_run(False)
    for job in session.jobs:
        if job.kind == "train":
            session.worker.tell(job.folder, _ENDS[answer]())
