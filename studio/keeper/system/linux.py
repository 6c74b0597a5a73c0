"""Linux: logind for sleep and power, sysfs for the battery."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from pathlib import Path

from studio.core.facts import Ability
from studio.keeper.system.base import QUESTION_SECONDS, run

_log = logging.getLogger(__name__)

WHO, WHY = "Finetune Studio", "A model is being trained"
AGAIN_SECONDS = 60.0
SUPPLIES = Path("/sys/class/power_supply")
_LOGIND = (
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
)


class Linux:
    """`supplies` is the folder of power supplies (kernel: Documentation/ABI/testing/
    sysfs-class-power)."""

    def __init__(self, supplies: Path = SUPPLIES) -> None:
        self._supplies = supplies
        self._holds = [_Hold(words) for words in _holders()]

    def abilities(self) -> tuple[Ability, ...]:
        found: list[Ability] = []
        if _answers(*_LOGIND, "ListInhibitors") is not None and shutil.which("systemd-inhibit"):
            found.append("keep-awake")
        if _answers(*_LOGIND, "CanSuspend") == 's "yes"':
            found.append("sleep")
        if _answers(*_LOGIND, "CanPowerOff") == 's "yes"':
            found.append("shut-down")
        return tuple(found)

    def keep_awake(self) -> None:
        for hold in self._holds:
            hold.keep()

    def let_sleep(self) -> None:
        for hold in self._holds:
            hold.end()

    def on_battery(self) -> bool | None:
        supplies = [_Supply(path) for path in self._supplies.glob("*")]
        if not any(supply.drives_the_machine for supply in supplies):
            return None
        if any(supply.online for supply in supplies):
            return False
        return any(supply.drives_the_machine and supply.discharging for supply in supplies)

    def sleep(self) -> None:
        run(["systemctl", "--no-ask-password", "suspend"], "The machine does not go to sleep")

    def shut_down(self) -> None:
        run(["systemctl", "--no-ask-password", "poweroff"], "The machine does not shut down")


class _Supply:
    """One entry of /sys/class/power_supply: mains, a battery, or the battery of a mouse."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kind = self._read("type")

    @property
    def drives_the_machine(self) -> bool:
        """A battery, and not that of a mouse or a headset."""
        return self.kind == "Battery" and self._read("scope") != "Device"

    @property
    def online(self) -> bool:
        return self.kind in ("Mains", "USB") and self._read("online") == "1"

    @property
    def discharging(self) -> bool:
        return self._read("status") == "Discharging"

    def _read(self, name: str) -> str:
        try:
            return (self._path / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


class _Hold:
    """A program that keeps the machine awake as long as `cat` runs under it. That ends with its
    input, which ends with this process, also with one that is killed."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self._again_at = 0.0
        self._said = ""

    def keep(self) -> None:
        """Begin it, or begin it anew a while after it was lost."""
        if self._process is not None and self._process.poll() is not None:
            said = self._process.communicate()[1].decode("utf-8", "replace").strip()
            self._lost(said or f"status {self._process.returncode}")
        if self._process is None and time.monotonic() >= self._again_at:
            try:
                self._process = _open(self._words)
            except OSError as error:
                self._lost(str(error))

    def end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.communicate(timeout=QUESTION_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _lost(self, why: str) -> None:
        if why != self._said:  # it is tried again all along a run
            _log.warning("%s does not keep the machine awake: %s", self._words[0], why)
        self._said = why
        self._process = None
        self._again_at = time.monotonic() + AGAIN_SECONDS


def _open(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _holders() -> list[list[str]]:
    """logind's, which desktops honour for their own suspend too; GNOME looks at its session's."""
    found = [["systemd-inhibit", "--what=idle:sleep", f"--who={WHO}", f"--why={WHY}", "cat"]]
    if "GNOME" in os.environ.get("XDG_CURRENT_DESKTOP", ""):
        gnome = ["gnome-session-inhibit", "--inhibit", "suspend", "--app-id", "finetune-studio"]
        found.append([*gnome, "--reason", WHY, "cat"])
    return [words for words in found if shutil.which(words[0])]


def _answers(*words: str) -> str | None:
    """What a method of the system bus answers; None where it can't be asked."""
    if not shutil.which("busctl"):
        return None
    try:
        done = subprocess.run(
            ["busctl", "--system", "call", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=QUESTION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
