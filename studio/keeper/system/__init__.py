"""What the keeper asks of the operating system, one file a platform."""

from __future__ import annotations

import sys

from studio.core.facts import Ability
from studio.keeper.system.base import System

__all__ = ["Ability", "System", "here"]


def here() -> System:
    """The system that this process runs on."""
    if sys.platform == "win32":
        from studio.keeper.system.windows import Windows

        return Windows()
    if sys.platform == "darwin":
        from studio.keeper.system.macos import MacOS

        return MacOS()
    from studio.keeper.system.linux import Linux

    return Linux()
