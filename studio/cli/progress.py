"""One line of progress on standard error; plain lines where that is no terminal."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from studio.core import guard
from studio.core.events import (
    AnyEvent,
    Evaluated,
    Note,
    Paused,
    Rescued,
    RolledBack,
    Sampled,
    Saved,
    Stage,
    Started,
    Step,
)
from studio.core.run_state import RunState, after

REDRAW_SECONDS = 0.1
PLAIN_SECONDS = 15.0
WIDTH = 24


class Line:
    """Redraws one line on a terminal; elsewhere writes a line when the text changes, or a while
    has passed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = ""
        self._stage = ""
        self._drawn_at = 0.0
        self._state = RunState()

    def hear(self, event: AnyEvent) -> None:
        """Show what an event says."""
        self._state = after(self._state, event)
        match event:
            case Stage():
                self.show(event.text, event.share)
            case Step():
                self._draw("Training", self._state.share, _step(self._state))
            case Started() if event.decided and event.total_steps:
                self._say(_started(event))
            case Evaluated():
                loss = event.metrics.get("loss")
                self._say(
                    f"Step {event.step}: held-out loss {loss if loss is None else f'{loss:.4f}'}"
                )
            case Saved():
                self._say(f"Step {event.step}: checkpoint saved")
            case Sampled():
                self._say(f"Step {event.step}: “{event.prompt}” → “{event.text}”")
            case Paused() if event.reason:
                self._say(_paused(self._state))
            case Rescued():
                self._say(_rescued(event))
            case RolledBack():
                self._say(f"Step {event.step}: {event.text} Back at step {event.to_step}.")
            case Note():
                self._say(event.text)

    def show(self, text: str, share: float | None = None) -> None:
        """A stage, with its share of 1 where that is known."""
        self._draw(text, share, "")

    def clear(self) -> None:
        """Leave the line empty, for something else to be written."""
        if self._terminal and self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
        self._shown = ""

    def _say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def _draw(self, stage: str, share: float | None, more: str) -> None:
        now = time.monotonic()
        changed = stage != self._stage
        wait = REDRAW_SECONDS if self._terminal else PLAIN_SECONDS
        if not changed and now - self._drawn_at < wait and share != 1.0:
            return
        self._stage, self._drawn_at = stage, now
        words = [stage, _bar(share) if self._terminal else _per_cent(share), more]
        line = "  ".join(word for word in words if word)
        if not self._terminal:
            self._stream.write(line + "\n")
        else:
            columns = shutil.get_terminal_size().columns
            self._stream.write("\r" + line[: columns - 1] + "\x1b[K")
        self._stream.flush()
        self._shown = line


def duration(seconds: float) -> str:
    """Seconds as 45 s, 3 min 20 s or 2 h 05 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _bar(share: float | None) -> str:
    if share is None:
        return ""
    filled = round(share * WIDTH)
    return f"[{'█' * filled}{'·' * (WIDTH - filled)}] {_per_cent(share)}"


def _per_cent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _step(state: RunState) -> str:
    words = [f"step {state.step}" + (f"/{state.total_steps}" if state.total_steps else "")]
    if state.train_loss is not None:
        words.append(f"loss {state.train_loss:.3f}")
    if state.tokens_per_second:
        words.append(f"{state.tokens_per_second:.0f} tokens/s")
    if (left := state.eta_seconds) is not None:
        words.append(f"{duration(left)} left")
    return " · ".join(words)


def _paused(state: RunState) -> str:
    after = " It goes on by itself." if guard.waits(state) else ""
    return f"Step {state.step} is saved. The run {guard.headline(state)}.{after}"


def _rescued(event: Rescued) -> str:
    rows = "1 row" if event.micro_batch_size == 1 else f"{event.micro_batch_size} rows"
    return (
        f"Step {event.step}: memory ran out during {event.where}; going on with smaller batches "
        f"({rows} at a time, {event.gradient_accumulation} times a step)"
    )


def _started(event: Started) -> str:
    decided = event.decided
    told = [
        f"{event.total_steps} steps",
        *(str(decided[k]) for k in ("device", "dtype") if k in decided),
    ]
    again = f", going on after step {event.resumed_from}" if event.resumed_from else ""
    return f"Training: {', '.join(told)}{again}"
