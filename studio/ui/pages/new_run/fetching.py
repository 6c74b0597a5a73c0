"""Bringing a model onto this machine, shown while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.errors import StudioError
from studio.library.folders import Home
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    InlineMessage,
    ProgressBar,
    label,
    row,
)

Progress = Callable[[str, float | None], None]
Asked = Callable[[], bool]


def fetch(home: Home, name: str, progress: Progress, cancelled: Asked) -> Path:
    """A hub model, or "starter", in the studio's folder."""
    from studio.client.actions.models import download_model

    return download_model(home, name, progress=progress, cancelled=cancelled)


def take_in(home: Home, source: Path, progress: Progress, cancelled: Asked) -> Path:
    """A GGUF file or a model folder as a model in the studio's folder."""
    from studio.client.actions.jobs import cancelling, staged
    from studio.client.actions.models import import_model

    return import_model(
        home, source, hear=staged(progress), orders=cancelling(cancelled), progress=progress,
        cancelled=cancelled,
    )  # fmt: skip


class Fetching(QWidget):
    """One model under way: what happens, how far it is, Cancel; an error with Try again."""

    arrived = Signal(str)
    """The folder of the model that is there now."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._task: Task | None = None
        self._again: tuple[str, Callable[..., Path], Any] | None = None
        self._title = ElidedLabel("", "b")
        self._text = ElidedLabel("", "mute")
        self._share = label("", "mute")
        self.bar = ProgressBar("Progress")
        self.cancel_button = Button("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        self.card = Card(margin=16, spacing=10)
        head = row(self._title, self._text, self._share, self.cancel_button, spacing=12)
        head.setStretch(1, 1)
        self.card.add(head, self.bar)
        self.message = InlineMessage(closable=True)
        self.message.acted.connect(self._try_again)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.card)
        box.addWidget(self.message)
        self.card.hide()
        self.hide()

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._task is not None

    def begin(self, title: str, function: Callable[..., Path], argument: Any) -> None:
        """Call `function(home, argument, progress=, cancelled=)` in the background."""
        if self.busy:
            self._session.said.emit("One model at a time: wait, or cancel the other.", "warn")
            return
        self._again = (title, function, argument)
        self._title.setText(title)
        self._progress("", None)
        self.message.hide()
        self.card.show()
        self.show()
        self._task = self._session.background(
            function,
            self._session.home,
            argument,
            done=self._done,
            failed=self._failed,
            progress=self._progress,
        )

    def cancel(self) -> None:
        """Give it up; what was downloaded so far is kept for the next time."""
        if self._task is not None:
            self._task.cancel()
            self._end()

    def _progress(self, text: str, share: float | None) -> None:
        self._text.setText(text)
        self._share.setText("" if share is None else say.share(share))
        self.bar.set_value(share)

    def _done(self, path: Path) -> None:
        self._end()
        self._session.models_changed.emit()
        self.arrived.emit(str(path))

    def _failed(self, error: StudioError) -> None:
        self._end()
        self.show()
        self.message.show_error(error, "Try again")

    def _end(self) -> None:
        self._task = None
        self.bar.set_value(0.0)
        self.card.hide()
        self.hide()

    def _try_again(self) -> None:
        if self._again:
            self.begin(*self._again)
