"""A screen of the test's own: an X server with a window manager, mouse and keys."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

SIZE = (1440, 900)
NEEDED = ("Xvfb", "openbox", "xdotool")


class Screen:
    """Moves a real pointer and presses real keys on one display."""

    def __init__(self, display: str) -> None:
        self.display = display

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program needs to show up here."""
        return {"DISPLAY": self.display, "QT_QPA_PLATFORM": "xcb", "QT_LINUX_ACCESSIBILITY": "0"}

    def click(self, x: int, y: int) -> None:
        self._do("mousemove", "--sync", str(x), str(y), "click", "1")

    def scroll(self, x: int, y: int, down: bool = True) -> None:
        self._do("mousemove", str(x), str(y), "click", "--repeat", "3", "5" if down else "4")

    def type(self, text: str) -> None:
        self._do("type", "--delay", "4", "--", text)

    def key(self, *keys: str) -> None:
        self._do("key", "--delay", "20", *keys)

    def _do(self, *arguments: str) -> None:
        environment = {**os.environ, "DISPLAY": self.display}
        subprocess.run(
            ["xdotool", *arguments], env=environment, check=True, timeout=20, capture_output=True
        )


@contextlib.contextmanager
def screen(logs: Path) -> Iterator[Screen]:
    """A screen on a free display, gone with the block."""
    with contextlib.ExitStack() as stack:
        server, display = _server(stack, logs)
        made = Screen(display)
        with (logs / "openbox.log").open("wb") as log:
            manager = subprocess.Popen(
                ["openbox", "--sm-disable"],
                env={**os.environ, "DISPLAY": display},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        stack.callback(_end, manager)
        _await_manager(made)
        yield made
    assert server.poll() is not None


def _server(stack: contextlib.ExitStack, logs: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server says on a pipe which display it took, once it answers."""
    reading, writing = os.pipe()
    log = stack.enter_context((logs / "xvfb.log").open("wb"))
    depth = f"{SIZE[0]}x{SIZE[1]}x24"
    options = ["-displayfd", str(writing), "-screen", "0", depth, "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(
        ["Xvfb", *options], pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    os.close(writing)
    stack.callback(_end, server)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, (logs / "xvfb.log").read_text("utf-8", "replace")
    return server, f":{number}"


def _await_manager(made: Screen) -> None:
    """Windows get the keyboard only from a window manager that is up."""
    end = time.monotonic() + 20
    while True:
        try:
            return made._do("get_num_desktops")
        except subprocess.CalledProcessError:
            assert time.monotonic() < end, "the window manager does not come up"
            time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
