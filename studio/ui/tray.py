"""The studio's icon in the desktop's tray, where there is one: state, actions, notifications."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QSystemTrayIcon

from studio.core.queue import Queue
from studio.core.run_state import RunState
from studio.core.wire import JobRow
from studio.ui import format as say
from studio.ui import news, reasons
from studio.ui.icons import app_icon
from studio.ui.session import Session
from studio.ui.shortcuts import QUIT, STOP, TOGGLE, native
from studio.ui.theme import theme
from studio.ui.trainings import Trainings

_SIGNS = {
    "ok": QSystemTrayIcon.MessageIcon.Information,
    "warn": QSystemTrayIcon.MessageIcon.Warning,
    "err": QSystemTrayIcon.MessageIcon.Critical,
}


class Tray(QObject):
    """Lives as long as the window; without a tray it only says things in the window."""

    def __init__(self, session: Session, window: QMainWindow, trainings: Trainings) -> None:
        super().__init__(window)
        self._session, self._window, self._trainings = session, window, trainings
        self._counting = False
        self.menu = QMenu(window)
        self.show_window = self.menu.addAction("Show", self.show)
        self.menu.addSeparator()
        self.pause = self.menu.addAction(f"Pause\t{native(TOGGLE)}", trainings.pause)
        self.resume = self.menu.addAction(f"Resume\t{native(TOGGLE)}", trainings.resume)
        self.stop = self.menu.addAction(f"Stop and keep\t{native(STOP)}", trainings.stop)
        self.menu.addSeparator()
        self.quit = self.menu.addAction(f"Quit\t{native(QUIT)}", self._quit)
        self.icon: QSystemTrayIcon | None = None
        if QSystemTrayIcon.isSystemTrayAvailable():
            self.icon = self._put_up()
        trainings.changed.connect(self.refresh)
        trainings.ended.connect(self._run_ended)
        session.queue_changed.connect(self._queue_moved)
        self.refresh()

    def refresh(self) -> None:
        """Show what holds now."""
        trainings = self._trainings
        self.pause.setEnabled(trainings.can_pause or trainings.waits)
        self.pause.setText(f"{'Keep paused' if trainings.waits else 'Pause'}\t{native(TOGGLE)}")
        self.resume.setEnabled(trainings.can_resume)
        self.stop.setEnabled(trainings.can_pause)
        if self.icon is not None:
            self.icon.setToolTip(f"Finetune Studio\n{standing(trainings)}")
            self.icon.setIcon(app_icon(trainings.at_work is not None))

    def show(self) -> None:
        """Bring the window to the front."""
        if self._window.isMinimized():
            self._window.showNormal()
        self._window.show()
        self._window.raise_()
        self._window.activateWindow()

    def tell(self, title: str, text: str, tone: str) -> None:
        """In the window while somebody looks at it, else as a notification of the desktop."""
        if self._window.isActiveWindow():
            self._session.said.emit(title, tone)
            return
        QApplication.alert(self._window)
        if self.icon is not None and self.icon.supportsMessages():
            self.icon.showMessage(title, text, _SIGNS[tone])

    def close(self) -> None:
        """Take the icon down; the window is about to go."""
        if self.icon is not None:
            self.icon.hide()

    def _put_up(self) -> QSystemTrayIcon:
        icon = QSystemTrayIcon(app_icon(False), self)
        icon.setContextMenu(self.menu)
        icon.activated.connect(self._clicked)
        icon.messageClicked.connect(self.show)
        theme().changed.connect(self.refresh)
        icon.show()
        return icon

    def _clicked(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason == QSystemTrayIcon.ActivationReason.Trigger:
            self.show()

    def _quit(self) -> None:
        self.show()  # it may have to ask
        self._window.close()

    def _run_ended(self, folder: str, state: RunState) -> None:
        said = news.of_run(Path(folder), state, self._session.settings.guard.hours)
        if said is not None:
            self.tell(*said)

    def _queue_moved(self, queue: Queue) -> None:
        said = news.of_queue(queue)
        if said is not None and not self._counting:
            self.tell(*said)
        self._counting = said is not None


def standing(trainings: Trainings) -> str:
    """The state of the studio in one line."""
    job = trainings.at_work
    if job is not None:
        return f"{job.name}: {_progress(job)}"
    if trainings.paused is None:
        return "Nothing is training"
    if trainings.state.pause_reason:
        return f"{trainings.paused.name}. {reasons.headline(trainings.state)}"
    return f"{trainings.paused.name} is paused"


def _progress(job: JobRow) -> str:
    if job.state == "ending":
        return "ending"
    share = "" if job.share is None else say.share(job.share)
    left = "" if job.eta_seconds is None else f"{say.duration(job.eta_seconds)} left"
    return ", ".join(filter(None, (share, left))) or job.stage or "starting"
