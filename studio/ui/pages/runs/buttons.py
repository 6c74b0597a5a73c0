"""The buttons of a run; which of them is there follows from its state."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QMenu, QWidget

from studio.core.run_state import RunState, allowed
from studio.ui import reasons
from studio.ui.run_controller import RunController
from studio.ui.shortcuts import STOP, TOGGLE, tip
from studio.ui.widgets import Button, IconButton


class RunButtons(QWidget):
    """Shows what `core.run_state.allowed` allows; nothing while the run is ending."""

    def __init__(self, controller: RunController) -> None:
        super().__init__()
        self._controller = controller
        self._state = RunState()
        self._job = ""
        pause = tip("Save a checkpoint and give the memory back", TOGGLE)
        self.pause = Button("Pause", "", "pause", pause)
        stop = tip("End now and save what was learnt", STOP)
        self.stop = Button("Stop and keep", "", "stop", stop)
        self.cancel = Button("Cancel", "danger", "x", "End now and keep nothing")
        self.resume = Button("Resume", "", "play", "Go on where it ended")
        self.chat = Button("Chat with it", "primary", "chat")
        self.more = IconButton("more", "More for this run")
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        for button in self._named().values():
            box.addWidget(button)
        box.addWidget(self.more)
        self.pause.clicked.connect(controller.pause)
        self.stop.clicked.connect(controller.stop)
        self.cancel.clicked.connect(controller.cancel)
        self.resume.clicked.connect(lambda: controller.resume(self._state))
        self.chat.clicked.connect(lambda: controller.chat(self._state))
        self.more.clicked.connect(self._open_menu)

    def show_state(self, state: RunState, job: str) -> None:
        """Show the buttons for this state; `job` is the JobRow's state, "" without an engine."""
        self._state, self._job = state, job
        may = allowed(state)
        if job == "starting":  # only cancelling makes sense yet
            may = frozenset({"cancel"})
        elif not job and state.state == "running":  # its end is being written
            may = frozenset()
        for name, button in self._named().items():
            button.setVisible(name in may)
            button.setEnabled(job != "ending")
        if reasons.waits(state):  # the banner offers it
            self.resume.hide()
        self.resume.set_label("Start" if state.state == "created" else "Resume")
        if not (state.result.get("adapter") or state.result.get("model")):
            self.chat.setEnabled(False)

    def menu(self) -> QMenu:
        """What is asked for less often."""
        menu = QMenu(self)
        acts, may_do = self._controller, allowed(self._state)
        idle = not self._job and "delete" in may_do
        running = self._job == "running" and self._state.state == "running"
        for text, act, may in (
            ("Save a checkpoint now", acts.save, running),
            ("Answer the prompts now", acts.sample, running),
            (acts.queue_words(), acts.queue, not self._job and "resume" in may_do),
            ("Rename", acts.rename, idle),
            ("Delete", acts.delete, idle),
        ):
            menu.addAction(text, act).setEnabled(may)
        return menu

    def _open_menu(self) -> None:
        menu = self.menu()
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.more.mapToGlobal(self.more.rect().bottomLeft()))

    def _named(self) -> dict[str, Button]:
        return {
            "pause": self.pause,
            "stop": self.stop,
            "cancel": self.cancel,
            "resume": self.resume,
            "chat": self.chat,
        }
