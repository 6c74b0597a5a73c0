"""The engine's side of the job folder: say events, hear commands."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from studio.core import commands
from studio.core.commands import AnyCommand
from studio.core.events import AnyEvent, Note, Stage
from studio.library import jobs
from studio.library.files import read_lines
from studio.library.folders import JobFolder


class Channel:
    """Appends to events.jsonl and reads what is new in commands.jsonl.

    Commands left by earlier engines of this folder are not heard: reading begins where the
    file ends when the channel is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._commands = JobFolder(folder).commands
        self._offset = self._commands.stat().st_size if self._commands.exists() else 0
        self._writing = threading.Lock()

    def emit(self, event: AnyEvent) -> None:
        """Append an event, stamped with the time. Raises OSError where the disk won't take it."""
        with self._writing:
            jobs.append(self.folder, event)

    def stage(self, text: str, share: float | None = None) -> None:
        """Say what the job is doing now."""
        self.emit(Stage(text=text, share=share))

    def note(self, text: str, severity: str = "info") -> None:
        """Say something worth a line of the run's log."""
        self.emit(Note(text=text, severity=severity))

    def commands(self) -> list[AnyCommand]:
        """What was asked for since the last call; a line that can't be read is passed over."""
        lines, self._offset = read_lines(self._commands, self._offset)
        heard: list[AnyCommand] = []
        for line in lines:
            try:
                heard.append(commands.command_decoder.decode(line))
            except msgspec.MsgspecError as error:
                self.note(f"A command can't be read and was passed over: {error}.", "warning")
        return heard
