"""Windows: the power functions of kernel32 and powrprof. Written from their manuals, never tried.

SetThreadExecutionState holds for the thread that calls it and ends with it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import psutil

from studio.core.facts import Ability
from studio.keeper.system.base import refused, run

ES_CONTINUOUS, ES_SYSTEM_REQUIRED = 0x80000000, 0x00000001


class Windows:
    """See learn.microsoft.com: SetThreadExecutionState, SetSuspendState, shutdown."""

    def __init__(self) -> None:
        self._held = False

    def abilities(self) -> tuple[Ability, ...]:
        return ("keep-awake", "sleep", "shut-down")

    def keep_awake(self) -> None:
        if not self._held:
            state = ctypes.c_uint(ES_CONTINUOUS | ES_SYSTEM_REQUIRED)
            self._held = bool(_library("kernel32").SetThreadExecutionState(state))

    def let_sleep(self) -> None:
        if self._held:
            _library("kernel32").SetThreadExecutionState(ctypes.c_uint(ES_CONTINUOUS))
        self._held = False

    def on_battery(self) -> bool | None:
        battery = psutil.sensors_battery()
        return None if battery is None else battery.power_plugged is False

    def sleep(self) -> None:
        if not _library("powrprof").SetSuspendState(False, False, False):
            raise refused("The machine does not go to sleep", "SetSuspendState failed")

    def shut_down(self) -> None:
        program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "shutdown.exe"
        run([str(program), "/s", "/t", "0"], "The machine does not shut down")


def _library(name: str) -> Any:
    loader: Any = ctypes
    return loader.WinDLL(f"{name}.dll")
