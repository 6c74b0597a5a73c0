"""Where every process begins: window, command line, keeper, preparer or engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

PROCESSES = ("keeper", "preparer", "engine")
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
NO_SCREEN = (
    "There is no screen here, so the window can't open.\n"
    "Log in on a desktop, or use the command line: finetune-studio --help\n"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for, loading nothing else; the exit status.

    The first word chooses: a process of the studio's own, or a verb of the command line.
    Without a word (options such as `--home DIR` aside) the window opens.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in PROCESSES:
        return _enter(f"studio.{arguments[0]}.__main__", arguments[1:])
    if not _is_window(arguments):
        return _enter("studio.cli.program", arguments)
    if _no_screen():
        sys.stderr.write(NO_SCREEN)
        return 1
    return _enter("studio.ui.app", arguments)


def _is_window(arguments: list[str]) -> bool:
    """Nothing but `--home DIR`, in either spelling."""
    rest = list(arguments)
    while rest and rest[0].split("=")[0] == "--home":
        del rest[: 1 if "=" in rest[0] else 2]
    return not rest


def _no_screen() -> bool:
    """Qt would end the process without a word to a person."""
    return sys.platform.startswith("linux") and not any(map(os.environ.get, SCREENS))


def _enter(module: str, arguments: list[str]) -> int:
    status: int = import_module(module).main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
