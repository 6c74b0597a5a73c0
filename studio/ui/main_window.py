"""The window: side bar, pages built on first visit, and the status strip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QPaintEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from studio.core.errors import StudioError
from studio.ui import leaving, shortcuts
from studio.ui.countdown import Countdown
from studio.ui.icons import IconLabel
from studio.ui.reopening import Reopening
from studio.ui.session import Session
from studio.ui.status_strip import StatusStrip
from studio.ui.tab_order import move_focus
from studio.ui.trainings import Trainings
from studio.ui.tray import Tray
from studio.ui.widgets import InlineMessage, NavButton, Toast, column, label, row

if TYPE_CHECKING:
    from studio.ui.pages.serving import ServingDialog

SIDE_WIDTH = 224


@dataclass(frozen=True)
class PageEntry:
    """One page of the side bar; `where` is module:Class, imported on the first visit."""

    key: str
    title: str
    icon: str
    where: str

    def build(self, session: Session) -> QWidget:
        module, name = self.where.split(":")
        page: QWidget = getattr(import_module(module), name)(session)
        return page


PAGES = (
    PageEntry("new_run", "New run", "plus-circle", "studio.ui.pages.new_run:NewRunPage"),
    PageEntry("runs", "Runs", "activity", "studio.ui.pages.runs:RunsPage"),
    PageEntry("library", "Library", "box", "studio.ui.pages.library:LibraryPage"),
    PageEntry("chat", "Chat", "chat", "studio.ui.pages.chat:ChatPage"),
    PageEntry("settings", "Settings", "sliders", "studio.ui.pages.settings:SettingsPage"),
)

INNER = (PageEntry("mix", "Mix", "sliders", "studio.ui.pages.mix:MixPage"),)
"""Pages that are reached from another one, whose button in the side bar stands for them."""
OUTER = {"mix": "library"}


class MainWindow(QMainWindow):
    """Shows one page at a time; `painted` is emitted once, after the first paint."""

    painted = Signal()

    def __init__(self, session: Session, pages: tuple[PageEntry, ...] = PAGES) -> None:
        super().__init__()
        self.session = session
        self._entries = {entry.key: entry for entry in (*pages, *INNER)}
        self._built: dict[str, QWidget] = {}
        self._was_painted = False
        self._reopening: Reopening | None = None
        self.setWindowTitle("Finetune Studio")
        self.setMinimumSize(1024, 660)
        self.resize(1280, 800)
        self._nav = {
            entry.key: NavButton(entry.title, entry.icon, f"Ctrl+{index + 1}")
            for index, entry in enumerate(pages)
        }
        self.stack = QStackedWidget()
        self.strip = StatusStrip()
        self.banner = InlineMessage(closable=True)
        self.countdown = Countdown(session)
        self.trainings = Trainings(session)
        self.tray: Tray | None = None
        self._served: ServingDialog | None = None
        self._lay_out()
        self.toast = Toast(self.stack)
        self._connect()
        self._restore()

    def page(self, key: str) -> QWidget:
        """The page, built on its first visit."""
        if key not in self._built:
            self._built[key] = self._entries[key].build(self.session)
            self.stack.addWidget(self._built[key])
        return self._built[key]

    def current(self) -> str:
        """The key of the page in view."""
        shown = self.stack.currentWidget()
        return next((key for key, page in self._built.items() if page is shown), "")

    def go(self, key: str) -> None:
        """Show a page; an unknown key shows the first."""
        key = key if key in self._entries else next(iter(self._entries))
        kept = isinstance(self.focusWidget(), NavButton)
        self.stack.setCurrentWidget(self.page(key))
        self.stack.setAccessibleName(self._entries[key].title)
        self._nav[OUTER.get(key, key)].setChecked(True)
        if self._reopening is not None:
            self._reopening.went_to(key)
        if not kept:
            self.stack.setFocus()  # or else the page's first control would show a focus ring

    def show_error(self, error: StudioError) -> None:
        self.banner.show_error(error)

    def _lay_out(self) -> None:
        side = QFrame()
        side.setObjectName("side")
        side.setFixedWidth(SIDE_WIDTH)
        inside = QVBoxLayout(side)
        inside.setContentsMargins(12, 20, 12, 16)
        inside.setSpacing(4)
        inside.addLayout(row(_Mark(), label("Finetune Studio", "h2"), None, spacing=10))
        inside.addSpacing(18)
        group = QButtonGroup(self)
        for number, (key, button) in enumerate(self._nav.items(), start=1):
            # a button's own shortcut would wait for its click to be shown
            shortcut = QShortcut(QKeySequence(f"Ctrl+{number}"), self)
            shortcut.activated.connect(lambda wanted=key: self.go(wanted))
            button.clicked.connect(lambda _=False, wanted=key: self.go(wanted))
            group.addButton(button)
            inside.addWidget(button)
        inside.addStretch(1)
        inside.addWidget(self.strip)
        holder = QVBoxLayout()
        holder.setContentsMargins(32, 16, 32, 0)
        holder.setSpacing(8)
        holder.addWidget(self.countdown)
        holder.addWidget(self.banner)
        self._banner_room = QWidget()
        self._banner_room.setLayout(holder)
        self._banner_room.hide()
        center = QWidget()
        center.setObjectName("page")
        center.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        whole = QHBoxLayout(center)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(side)
        middle = column(self._banner_room, spacing=0)
        middle.addWidget(self.stack, 1)
        whole.addLayout(middle, 1)
        self.setCentralWidget(center)

    def _connect(self) -> None:
        session = self.session
        session.open_page.connect(self.go)
        session.open_run.connect(self._open_on("runs", "open_run"))
        session.run_started.connect(self._open_on("runs", "open_run"))
        session.open_queue.connect(self._open_on("runs", "show_list"))
        session.model_wanted.connect(self._open_on("new_run", "want_model"))
        session.recipe_wanted.connect(self._open_on("new_run", "want_recipe"))
        session.open_chat.connect(self._open_on("chat", "open_chat"))
        session.open_serving.connect(lambda *who: self._serving().open_for(*who))
        session.open_mix.connect(self._open_on("mix", "open_mix"))
        session.machine_changed.connect(self.strip.show_machine)
        session.jobs_changed.connect(self.strip.show_jobs)
        self.trainings.changed.connect(self._show_waiting)
        session.lost.connect(self.strip.machine.show_lost)
        session.said.connect(lambda text, tone: self.toast.say(text, tone))
        session.failed.connect(self._on_failed)
        self.strip.opened.connect(self._open_job)
        self.banner.closed.connect(self._settle_head)
        self.countdown.turned.connect(self._settle_head)
        session.started.connect(self._put_up_tray)
        for keys, act in (
            (shortcuts.TOGGLE, self.trainings.toggle),
            (shortcuts.STOP, self.trainings.stop),
            (shortcuts.QUIT, self.close),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)

    def _show_waiting(self) -> None:
        trainings = self.trainings
        self.strip.show_waiting(trainings.paused if trainings.waits else None, trainings.state)

    def _open_job(self, kind: str, folder: str) -> None:
        """A run opens itself; any other job opens the page that began it."""
        if kind == "train":
            self.session.open_run.emit(folder)
        elif kind == "serve":
            self._serving().reopen()
        else:
            pages = {"import": "new_run", "merge": "library", "export": "library", "mix": "mix"}
            self.go(pages.get(kind, "runs"))

    def _serving(self) -> ServingDialog:
        """The one dialog for what other programs use, made when it is first wanted."""
        if self._served is None:
            from studio.ui.pages.serving import ServingDialog

            self._served = ServingDialog(self, self.session)
        return self._served

    def _open_on(self, key: str, method: str) -> Callable[..., None]:
        def opened(*arguments: object) -> None:
            self.go(key)
            getattr(self.page(key), method)(*arguments)

        return opened

    def _on_failed(self, error: StudioError) -> None:
        self.show_error(error)
        self._settle_head()

    def _settle_head(self) -> None:
        shown = not (self.banner.isHidden() and self.countdown.isHidden())
        self._banner_room.setVisible(shown)

    def _put_up_tray(self) -> None:
        """After the first paint: asking the desktop for its tray takes a moment."""
        self.tray = Tray(self.session, self, self.trainings)

    def _restore(self) -> None:
        kept = self.session.settings.window
        if geometry := kept.get("geometry"):
            self.restoreGeometry(QByteArray.fromBase64(geometry.encode()))
        self.go(kept.get("page", ""))
        self._reopening = Reopening(self.session, self.current(), self)

    def _remember(self) -> None:
        encoded = self.saveGeometry().toBase64().toStdString()
        run = getattr(self._built.get("runs"), "shown_run", "")
        view = {"geometry": encoded, "page": self.current(), "run": run}
        kept = {**self.session.settings.window, **view}
        self.session.save_settings_now(msgspec.structs.replace(self.session.settings, window=kept))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # without this the first button would open with a focus ring
        self.stack.setFocus()

    def focusNextPrevChild(self, forward: bool) -> bool:
        return move_focus(self, forward)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            self.painted.emit()

    def closeEvent(self, event: QCloseEvent) -> None:
        training = any(job.kind == "train" for job in self.session.jobs)
        answer = self.ask_on_close() if training else "keep"
        if not answer:
            event.ignore()
            return
        leaving.carry_out(self.session, answer)
        self._remember()
        self.hide()  # ending what is under way may take a moment
        if self.tray is not None:
            self.tray.close()
        self.session.close()
        event.accept()

    def ask_on_close(self) -> str:
        """keep, pause, stop or "" (stay)."""
        return leaving.ask(self, self.session)


class _Mark(QLabel):
    """The studio's sign: a bolt on the accent."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("mark", True)
        self.setFixedSize(28, 28)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(6, 6, 6, 6)
        inside.addWidget(IconLabel("zap", "on", 16))
