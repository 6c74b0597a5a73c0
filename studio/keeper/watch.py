"""Reading a job's log while it grows."""

from __future__ import annotations

from pathlib import Path

from studio.core import events
from studio.core.events import AnyEvent
from studio.library.folders import JobFolder

CHUNK_BYTES = 64 << 10
LONGEST_LINE = 8 << 20
_TAIL_BYTES = 8 << 10


class Cursor:
    """A place in a log: `offset` is the byte behind the last whole line that was read."""

    def __init__(self, folder: Path, offset: int = 0) -> None:
        self.folder = folder
        self.offset = offset
        self._log = JobFolder(folder).events

    def more(self, chunk: int = CHUNK_BYTES) -> list[AnyEvent]:
        """The events that follow, about a chunk of them at most; [] where nothing is new."""
        while content := self._read(chunk):
            end = content.rfind(b"\n") + 1
            if end:
                self.offset += end
                return [events.decode(line) for line in content[:end].split(b"\n") if line]
            if len(content) < chunk:
                return []
            if chunk >= LONGEST_LINE:
                return self._skip(len(content))
            chunk *= 4
        return []

    def at_end(self) -> bool:
        """Whether nothing more was written behind the cursor."""
        try:
            return self._log.stat().st_size <= self.offset
        except OSError:
            return True

    def behind_end(self) -> bool:
        """Whether the line before the cursor says that the job ended."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self.offset - _TAIL_BYTES))
                tail = file.read(min(self.offset, _TAIL_BYTES))
        except OSError:
            return False
        lines = tail.rstrip(b"\n").split(b"\n")
        return isinstance(events.decode(lines[-1]), events.Ended)

    def _read(self, size: int) -> bytes:
        try:
            with self._log.open("rb") as file:
                file.seek(self.offset)
                return file.read(size)
        except OSError:
            return b""

    def _skip(self, size: int) -> list[AnyEvent]:
        self.offset += size
        text = f"{size:,} bytes of the event log are no line and were skipped."
        return [events.Note(text=text, severity="warning")]
