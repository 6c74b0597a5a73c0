"""A person at the window: looks for a control by its name, moves the mouse there, types."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from studio.library.folders import Home
from tests.end_to_end.screen import Screen

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
FAULT = "Something went wrong"
CLICKABLE = 6  # pixels that must be in view


@dataclass(frozen=True)
class Control:
    """Something in view. Rectangles are x, y, width, height on the screen."""

    kind: str
    type: str
    name: str
    about: str
    text: str
    enabled: bool
    checked: bool
    focused: bool
    seen: tuple[int, int, int, int]
    whole: tuple[int, int, int, int]

    @property
    def said(self) -> str:
        """Name and text in one."""
        return f"{self.name} {self.text}".strip()

    @property
    def center(self) -> tuple[int, int]:
        x, y, width, height = self.seen
        return x + width // 2, y + height // 2

    @property
    def reachable(self) -> bool:
        """Enough of it can be clicked on."""
        wanted = min(CLICKABLE, self.whole[3])
        return self.seen[2] >= min(CLICKABLE, self.whole[2]) and self.seen[3] >= wanted


class Window:
    """The studio's window on a screen."""

    def __init__(
        self,
        screen: Screen,
        connection: Connection,
        logs: Path,
        process: subprocess.Popen[bytes],
    ) -> None:
        self.screen = screen
        self.process = process
        self.active = ""
        self._connection = connection
        self._logs = logs

    def look(self, request: str = "look") -> list[Control]:
        """Everything in view now."""
        self._connection.send(request)
        if not self._connection.poll(PATIENCE):
            raise AssertionError("the window's thread has not answered for 30 seconds")
        answer: dict[str, Any] = self._connection.recv()
        self.active = str(answer["active"])
        return [
            Control(**{**about, "seen": tuple(about["seen"]), "whole": tuple(about["whole"])})
            for about in answer["controls"]
        ]

    def wait(
        self, what: str, condition: Callable[[list[Control]], Any], seconds: float = PATIENCE
    ) -> Any:
        """Look until the condition gives something true, and return that."""
        end = time.monotonic() + seconds
        while True:
            controls = self.look()
            if found := condition(controls):
                return found
            if fault := next((c.said for c in controls if c.said.startswith(FAULT)), ""):
                raise AssertionError(f"while waiting for {what}: {fault}\n{self.story()}")
            if time.monotonic() > end:
                raise AssertionError(f"not seen in {seconds:.0f} s: {what}\n{self.story()}")
            time.sleep(0.05)

    def until(self, what: str, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Wait for something that isn't in the window, which may be gone."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not so in {seconds:.0f} s: {what}"
            time.sleep(0.05)

    def find(self, name: str, kind: str = "", seconds: float = PATIENCE) -> Control:
        """The one control whose name or text is (or begins with) `name`."""

        def fitting(controls: list[Control]) -> Control | None:
            found = [c for c in controls if _fits(c, name, kind)]
            return min(found, key=lambda c: (len(c.said), not c.reachable), default=None)

        found: Control = self.wait(f"{kind} {name!r}", fitting, seconds)
        return found

    def sees(self, *words: str) -> bool:
        """Whether every one of these is said somewhere in view."""
        everything = "\n".join(f"{c.said} {c.about}" for c in self.look()).lower()
        return all(word.lower() in everything for word in words)

    def wait_for(self, *words: str, seconds: float = PATIENCE) -> None:
        """Wait until all of these are said."""
        self.wait(f"the words {words}", lambda _: self.sees(*words), seconds)

    def click(self, name: str, kind: str = "QAbstractButton", seconds: float = PATIENCE) -> None:
        """Scroll to it if need be, wait until it can be pressed and stands still, press it."""
        end = time.monotonic() + seconds
        before: Control | None = None
        while True:
            now = self.find(name, kind, max(1.0, end - time.monotonic()))
            if now.reachable and now.enabled and before is not None and now.seen == before.seen:
                self.screen.click(*now.center)
                return
            if time.monotonic() > end:
                raise AssertionError(f"{name!r} can't be pressed: {now}\n{self.story()}")
            if not now.reachable:
                self._scroll_towards(now)
            before = now

    def write(self, name: str, text: str, kind: str = "QLineEdit") -> None:
        """Click into a field, replace what it says, by keys."""
        self.click(name, kind)
        self.wait(f"the keyboard in {name!r}", lambda _: self.find(name, kind).focused)
        self.screen.key("ctrl+a")
        self.screen.type(text)
        self.wait(f"{text!r} in {name!r}", lambda _: self.find(name, kind).text == text)

    def key(self, *keys: str) -> None:
        self.screen.key(*keys)

    def story(self) -> str:
        """What the window says now, for a failed test; a picture is kept beside it."""
        lines = [f"{c.kind:16} {c.said!r} {'' if c.enabled else '(off)'}" for c in self.look()]
        with contextlib.suppress(OSError):
            self.look(f"shot {self._logs / 'window'}")
        return "\n".join([f"pictures in {self._logs}", f"active window: {self.active!r}", *lines])

    def _scroll_towards(self, control: Control) -> None:
        window = self.find("Finetune Studio", "QLabel").whole
        x, y = max(control.whole[0] + 40, window[0] + 300), window[1] + 380
        self.screen.scroll(x, y, down=control.whole[1] > y)


@contextlib.contextmanager
def opened(screen: Screen, home: Home, logs: Path) -> Iterator[Window]:
    """The studio in a process of its own, until the block ends."""
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "tests.end_to_end.probe", str(theirs.fileno())]
    with (logs / "window.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--home", str(home.root)],
            cwd=ROOT,
            env={**os.environ, **screen.environment},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    theirs.close()
    window = Window(screen, ours, logs, process)
    try:
        window.wait("the window in front", lambda _: window.active == "Finetune Studio")
        yield window
    finally:
        process.terminate()
        process.wait(20)
        ours.close()


def _fits(control: Control, name: str, kind: str) -> bool:
    if kind and control.kind != kind:
        return False
    wanted = name.lower()
    return any(
        text.strip().lower().startswith(wanted) for text in (control.name, control.text) if text
    )
