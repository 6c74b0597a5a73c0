"""What happened in a run, a line each, the newest first; or what its engine printed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit

from studio.core import events as ev
from studio.library.folders import JobFolder
from studio.ui import format as say
from studio.ui import reasons
from studio.ui.session import Session
from studio.ui.theme import mono, theme
from studio.ui.widgets import Card, Segmented, label, row

LINES = 500
_LOG_BYTES = 64 << 10
_TONES = {"info": "sub", "warning": "warn", "error": "err", "ok": "ok"}
Line = tuple[str, str]


class Activity(Card):
    """Fed with events; redrawn when `refresh` is called."""

    def __init__(self, session: Session) -> None:
        super().__init__(margin=16, spacing=10)
        self._session = session
        self._folder = Path()
        self._lines: deque[Line] = deque(maxlen=LINES)
        self._new: list[Line] = []
        self._every = 1
        self.kind = Segmented("What is shown", [("events", "Events"), ("output", "Output")])
        self.kind.set_value("events")
        self.kind.selected.connect(self._switch)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setProperty("mono", "true")
        self.text.setFont(mono())
        self.text.setAccessibleName("Activity, newest first")
        self.text.setTabChangesFocus(True)
        self.text.setMaximumBlockCount(0)
        self.text.setMinimumHeight(190)
        self.add(row(label("Activity", "h2"), None, self.kind), self.text)
        theme().changed.connect(self._redraw)

    def open(self, folder: Path) -> None:
        """Begin with another run."""
        self._folder = folder
        self._lines.clear()
        self._new.clear()
        self._every = 1
        self.kind.set_value("events")
        self.text.clear()

    def take(self, found: Iterable[ev.AnyEvent]) -> None:
        """Note what is worth a line."""
        for event in found:
            if isinstance(event, ev.Started):
                self._every = _round(event.total_steps / 20)
            if line := self._line(event):
                clock = time.strftime("%H:%M:%S", time.localtime(event.time))
                self._new.append((f"{clock}  {line[0]}", line[1]))

    def refresh(self) -> None:
        """Show the lines that came since the last time."""
        new, self._new = self._new[-LINES:], []
        self._lines.extend(new)
        if new and self.kind.value() == "events":
            self._insert(new)

    def _line(self, event: ev.AnyEvent) -> Line | None:
        if isinstance(event, ev.Step) and event.step > 1 and event.step % self._every:
            return None
        if isinstance(event, ev.Created) and (self._lines or self._new):
            return None  # said again by a newer studio that took it up
        return words(event)

    def _insert(self, lines: list[Line]) -> None:
        """Put these above what is shown, and drop the oldest beyond the limit."""
        cursor = QTextCursor(self.text.document())
        cursor.beginEditBlock()
        empty = self.text.document().isEmpty()
        for text, tone in lines:
            cursor.movePosition(QTextCursor.MoveOperation.Start)
            form = QTextCharFormat()
            form.setForeground(theme().color(_TONES.get(tone, "sub")))
            cursor.insertText(text if empty else f"{text}\n", form)
            empty = False
        surplus = self.text.blockCount() - LINES
        if surplus > 0:
            cursor.movePosition(QTextCursor.MoveOperation.End)
            mode = QTextCursor.MoveMode.KeepAnchor
            cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, mode)
            cursor.movePosition(QTextCursor.MoveOperation.PreviousBlock, mode, surplus - 1)
            cursor.removeSelectedText()
        cursor.endEditBlock()

    def _redraw(self) -> None:
        if self.kind.value() == "events":
            self.text.clear()
            self._insert(list(self._lines))

    def _switch(self, kind: str) -> None:
        self.text.clear()
        if kind == "events":
            self._redraw()
        else:
            self._session.background(_printed, self._folder, done=self._show_output)

    def _show_output(self, text: str) -> None:
        if self.kind.value() == "output":
            self.text.setPlainText(text or "Nothing was printed.")
            self.text.moveCursor(QTextCursor.MoveOperation.End)


def words(event: ev.AnyEvent) -> Line | None:
    """An event as a line and its tone; None where it isn't worth one."""
    match event:
        case ev.Created():
            return "created", "info"
        case ev.Started() if event.resumed_from:
            return f"taken up again after step {say.count(event.resumed_from)}", "info"
        case ev.Started():
            return ": ".join(filter(None, ("started", _decided(event)))), "info"
        case ev.Stage():
            return event.text[:1].lower() + event.text[1:], "info"
        case ev.Step():
            return _step(event), "info"
        case ev.Evaluated():
            best = "  best so far" if event.best else ""
            return f"evaluated at step {say.count(event.step)}  loss {_loss(event)}{best}", "info"
        case ev.Sampled():
            return f"prompts answered at step {say.count(event.step)}", "info"
        case ev.Saved():
            size = f" ({say.size(event.bytes)})" if event.bytes else ""
            return f"checkpoint saved at step {say.count(event.step)}{size}", "info"
        case ev.Note():
            return event.text, event.severity
        case ev.Rescued() | ev.RolledBack():
            return _setback(event), "warning"
        case ev.Paused() if event.reason:
            why = reasons.short(event.reason)
            return f"paused by itself at step {say.count(event.step)}: {why}", "warning"
        case ev.Paused():
            return f"paused at step {say.count(event.step)}", "info"
        case ev.Finished():
            return ("stopped and kept", "ok") if event.stopped else ("finished", "ok")
        case ev.Cancelled():
            return "cancelled", "warning"
        case ev.Failed() | ev.Ended() if event.title:
            return f"{event.title}: {event.text}", "error"
    return None


def _setback(event: ev.Rescued | ev.RolledBack) -> str:
    if isinstance(event, ev.RolledBack):
        back = f"to the checkpoint of step {say.count(event.to_step)}"
        return f"rolled back from step {say.count(event.step)} {back}: {event.text}"
    size, times = event.micro_batch_size, event.gradient_accumulation
    return (
        f"memory ran out during {event.where}: goes on after step {say.count(event.step)} with "
        f"{times} micro-batches of {size}, which learns the same"
    )


def _step(event: ev.Step) -> str:
    said = [f"step {say.count(event.step)}", f"loss {_loss(event)}"]
    rate = event.metrics.get("learning_rate")
    speed = event.metrics.get("tokens_per_second")
    if rate is not None:
        said.append(f"lr {say.rate(rate)}")
    if speed is not None:
        said.append(f"{say.count(speed)} tok/s")
    return "  ".join(said)


def _loss(event: ev.Step | ev.Evaluated) -> str:
    loss = event.metrics.get("loss")
    return "not a number" if loss is None else say.loss(loss)


def _decided(event: ev.Started) -> str:
    known = [("device", ""), ("dtype", ""), ("micro_batch_size", "micro-batch "), ("threads", "")]
    said = [f"{name}{event.decided[key]}" for key, name in known if key in event.decided]
    if "threads" in event.decided:
        said[-1] += " threads"
    steps = [f"{say.count(event.total_steps)} steps"] if event.total_steps else []
    return ", ".join([*steps, *said])


def _round(number: float) -> int:
    """A round number close to this: 1, 2, 5, 10, 20, 50, …"""
    step = 1
    for factor in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000):
        if factor <= number:
            step = factor
    return step


def _printed(folder: Path) -> str:
    """The last of what the engine printed."""
    try:
        with JobFolder(folder).engine_log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
