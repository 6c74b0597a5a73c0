"""Put it on the hub: where to, who sees it, how far it is, and its address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication

from studio.core import hub
from studio.core.errors import StudioError
from studio.core.passport import Passport
from studio.library import settings
from studio.library.folders import Home
from studio.ui.background import Task
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    InlineMessage,
    LineEdit,
    ProgressBar,
    Switch,
    label,
    restyle,
    row,
)

FAILED = "What fails its check isn't pushed."
NO_TOKEN = (
    "No hub token is known: save one in Settings → Hugging Face token, then push from Exports so "
    "far."
)
BROKEN_OFF = "Cancelled. Push it again, and it goes on with the file where it stopped."
_KEPT = "A repository that exists already keeps its own setting."
PRIVATE = f"Private: only its owner sees it. {_KEPT}"
PUBLIC = f"Public: everybody can see and download it. {_KEPT}"


def send(
    preparer: Any, home: Home, folder: Path, repo: str, private: bool, progress: Any, cancelled: Any
) -> str:
    """Push an export; the address of its page."""
    from studio.client import actions

    return actions.push(
        home, folder, repo, private=private, preparer=preparer, progress=progress,
        cancelled=cancelled,
    )  # fmt: skip


class PushCard(Card):
    """Pushes one export at a time; its button cancels while it does."""

    busy = Signal(bool)

    def __init__(self, session: Session) -> None:
        super().__init__(margin=16, spacing=8)
        self._session = session
        self._folder = Path()
        self._failed_check = False
        self._token: bool | None = None
        self._task: Task | None = None
        self._address = ""
        self.edit = LineEdit("Repository on the hub", placeholder="OWNER/NAME", icon_name="globe")
        self.edit.textEdited.connect(self._explain)
        self.edit.returnPressed.connect(self._start)
        self.public = Switch("Public")
        self.public.toggled.connect(self._explain)
        self.button = Button("Push", "", "upload")
        self.button.clicked.connect(self._pressed)
        self.words = label(PRIVATE, "mute", wrap=True)
        self.bar = ProgressBar("Progress of the push")
        self.message = InlineMessage()
        self.message.acted.connect(self._copy)
        line = row(self.edit, 4, label("Public"), self.public, 4, self.button, spacing=8)
        self.add(label("Put it on the hub", "b"), line, self.bar, self.words, self.message)
        self.bar.hide()

    def show_export(self, folder: Path, passport: Passport | None) -> None:
        """Offer the export in this folder."""
        self._folder = folder
        self._failed_check = passport is not None and passport.grade == "fail"
        self.message.hide()
        self._explain()
        if not self._token:
            self._session.background(settings.token, self._session.home, done=self._know)

    def cancel(self) -> None:
        """Break off what is being pushed."""
        if self._task is not None:
            self._task.cancel()
            self._over()
            self._say(BROKEN_OFF)

    def _know(self, token: str | None) -> None:
        self._token = bool(token)
        if self._task is None:
            self._explain()

    def _explain(self) -> None:
        """Say who will see it, or why it can't be pushed."""
        why = FAILED if self._failed_check else NO_TOKEN if self._token is False else ""
        for control in (self.edit, self.public, self.button):
            control.setEnabled(not why and bool(self._token))
        self.button.setToolTip(why)
        self.button.setAccessibleDescription(why)
        self._say(why or (PUBLIC if self.public.isChecked() else PRIVATE))

    def _say(self, text: str, wrong: bool = False) -> None:
        self.words.setText(text)
        restyle(self.words, "t", "err" if wrong else "mute")
        restyle(self.edit, "problem", "blocks" if wrong else "")
        self.edit.setAccessibleDescription(text)

    def _pressed(self) -> None:
        if self._task is None:
            self._start()
        else:
            self.cancel()

    def _start(self) -> None:
        self.message.hide()
        repo = self.edit.text().strip()
        try:
            hub.check_name(repo)
        except StudioError as error:
            self._say(f"{error.text} {error.fix}", wrong=True)
            self.edit.setFocus()
            return
        self._at_work(True)
        self._moved("Starting", None)
        self._task = self._session.prepare(
            send, self._session.home, self._folder, repo, not self.public.isChecked(),
            done=self._done, failed=self._failed, progress=self._moved,
        )  # fmt: skip

    def _moved(self, text: str, share: float | None) -> None:
        self._say(text)
        self.bar.set_value(share)

    def _done(self, address: str) -> None:
        self._over()
        self._address = address
        self.message.show_message("It is on the hub", address, "", "ok", "Copy address")

    def _failed(self, error: StudioError) -> None:
        self._over()
        self.message.show_error(error)

    def _over(self) -> None:
        self._task = None
        self._at_work(False)
        self._explain()

    def _at_work(self, working: bool) -> None:
        self.edit.setEnabled(not working)
        self.public.setEnabled(not working)
        self.bar.setVisible(working)
        self.button.set_label("Cancel" if working else "Push", "x" if working else "upload")
        self.busy.emit(working)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._address)
