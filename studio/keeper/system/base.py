"""The interface to the operating system, and what its files share."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Protocol

from studio.core.errors import StudioError
from studio.core.facts import Ability

ANSWER_SECONDS, QUESTION_SECONDS = 15.0, 3.0
"""For an order that the system carries out, and for what it knows or does at once."""


class System(Protocol):
    """Keep awake and let sleep from one thread: Windows ties the hold to the one that asked."""

    def abilities(self) -> tuple[Ability, ...]:
        """What works here and now; may ask the system and take a moment."""

    def keep_awake(self) -> None:
        """Hold the machine awake until `let_sleep` or this process's end, however it ends. May be
        called again at any time, and then mends a hold that was lost."""

    def let_sleep(self) -> None:
        """Give the hold back; nothing happens where there is none."""

    def on_battery(self) -> bool | None:
        """Whether the machine runs on its battery; None where it has none that is known."""

    def sleep(self) -> None:
        """Suspend the machine now; StudioError where it refuses."""

    def shut_down(self) -> None:
        """Turn the machine off now; StudioError where it refuses."""


def run(words: Sequence[str], title: str) -> None:
    """Run one of the system's programs to its end; StudioError with this title where it fails."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise refused(title, str(error)) from error
    if done.returncode:
        output = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise refused(title, output or f"{words[0]} ended with status {done.returncode}")


def refused(title: str, why: str) -> StudioError:
    """What the system would not do, in its own words."""
    return StudioError(
        title,
        f"The system refused: {why.strip().rstrip('.')}.",
        "Do it by hand; the runs are saved.",
    )
