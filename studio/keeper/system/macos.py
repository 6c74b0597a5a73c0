"""macOS: caffeinate, pmset and System Events. Written from their manuals, never tried."""

from __future__ import annotations

import logging
import os
import subprocess

import psutil

from studio.core.facts import Ability
from studio.keeper.system.base import QUESTION_SECONDS, run

_log = logging.getLogger(__name__)


class MacOS:
    """`caffeinate -w` lets go by itself when this process is gone (man caffeinate)."""

    def __init__(self) -> None:
        self._hold: subprocess.Popen[bytes] | None = None

    def abilities(self) -> tuple[Ability, ...]:
        return ("keep-awake", "sleep", "shut-down")

    def keep_awake(self) -> None:
        if self._hold is not None and self._hold.poll() is None:
            return
        try:
            self._hold = subprocess.Popen(
                ["caffeinate", "-i", "-w", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            _log.warning("the machine is not kept awake: %s", error)

    def let_sleep(self) -> None:
        if self._hold is not None:
            self._hold.terminate()
            self._hold.wait(QUESTION_SECONDS)
        self._hold = None

    def on_battery(self) -> bool | None:
        battery = psutil.sensors_battery()
        return None if battery is None else battery.power_plugged is False

    def sleep(self) -> None:
        run(["pmset", "sleepnow"], "The machine does not go to sleep")

    def shut_down(self) -> None:
        order = 'tell application "System Events" to shut down'
        run(["osascript", "-e", order], "The machine does not shut down")
