"""From set-up to the program: the studio itself, or its tests."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from environment import PRODUCT, ROOT, WITH_TESTS, Environment
from stages import SetUpError, Stages, note

INTERRUPTED = 130


def run(arguments: list[str]) -> int:
    """Set up, fetch the starter model, become `finetune-studio ARGUMENTS`."""
    environment = Environment()
    if code := set_up(lambda: _for_running(environment, arguments)):
        return code
    if not _without_home(arguments) and not _display():
        note("There is no display, so this runs `finetune-studio quickstart` instead of a window.")
        arguments = ["quickstart", *arguments]
    return _become([str(environment.python), "-P", "-m", "studio", *arguments])


def test(arguments: list[str]) -> int:
    """Set up with the test tools, become pytest in the clone; the whole suite takes all cores."""
    environment = Environment()
    if code := set_up(lambda: environment.prepare(WITH_TESTS)):
        return code
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.chdir(ROOT)
    return _become([str(environment.python), "-m", "pytest", *(arguments or ["-n", "auto"])])


def set_up(prepare: Callable[[], object]) -> int:
    """0, or the exit code of a set-up that could not be finished, after saying why."""
    try:
        prepare()
    except SetUpError as error:
        note(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        note("\nInterrupted. Run the same command again: it goes on where it stopped.")
        return INTERRUPTED
    return 0


def _for_running(environment: Environment, arguments: Sequence[str]) -> None:
    environment.prepare(PRODUCT)
    home = _home(arguments)
    marker = environment.venv / "starter.json"
    known = json.loads(marker.read_text("utf-8")) if marker.exists() else []
    if home in known:
        return
    stages = Stages(environment.log)
    try:
        with stages.stage("Fetching the starter model (once)"):
            fetch = [str(environment.python), "-P", "-m", "studio", "models", "download", "starter"]
            stages.run(fetch, **({"FINETUNE_STUDIO_HOME": home} if home else {}))
    except SetUpError as error:
        note(f"{error.text}\nThe studio starts without it; its Model page fetches it later.")
    else:
        marker.write_text(json.dumps([*known, home]), "utf-8")


def _home(arguments: Sequence[str]) -> str:
    """The home folder that these arguments or the environment name; "" is the default one."""
    named = _home_option().parse_known_args(arguments)[0].home
    return str(Path(named).expanduser().absolute()) if named else ""


def _without_home(arguments: Sequence[str]) -> list[str]:
    """What is left to do beside naming a home folder; nothing means the window."""
    return _home_option().parse_known_args(arguments)[1]


def _home_option() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--home", default=os.environ.get("FINETUNE_STUDIO_HOME", ""))
    return parser


def _display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    named = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return any(os.environ.get(name) for name in named)


def _become(command: list[str]) -> int:
    """Replace this process by the command; where that isn't possible, wait for it."""
    if os.name == "posix":
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the command's to answer
    return subprocess.run(command, check=False).returncode
