"""Where every process begins: window, command line, keeper, preparer or engine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

PROCESSES = ("keeper", "preparer", "engine")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for, loading nothing else; the exit status.

    The first word chooses: a process of the studio's own, or a verb of the command line.
    Without a word (options such as `--home DIR` aside) the window opens.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in PROCESSES:
        return _enter(f"studio.{arguments[0]}.__main__", arguments[1:])
    return _enter("studio.ui.app" if _is_window(arguments) else "studio.cli.program", arguments)


def _is_window(arguments: list[str]) -> bool:
    """Nothing but `--home DIR`, in either spelling."""
    rest = list(arguments)
    while rest and rest[0].split("=")[0] == "--home":
        del rest[: 1 if "=" in rest[0] else 2]
    return not rest


def _enter(module: str, arguments: list[str]) -> int:
    status: int = import_module(module).main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
