"""Which accelerations this installation has and this home folder wants."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys

from studio.core import accelerations
from studio.core.errors import StudioError
from studio.library import settings
from studio.library.folders import Home


def packages() -> tuple[str, ...]:
    """The modules beyond the studio's own that are installed, none of which is imported, and the
    compiler."""
    wanted = {one.package for one in accelerations.ALL if one.package} - {accelerations.COMPILER}
    found = [name for name in wanted if importlib.util.find_spec(name)]
    return (*sorted(found), *((accelerations.COMPILER,) if compiler() else ()))


def compiler() -> str:
    """The C++ compiler that torch would use; empty where there is none."""
    names = ("cl",) if sys.platform == "win32" else (os.environ.get("CXX", ""), "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), "")


def switched_off(home: Home) -> tuple[str, ...]:
    """Those that the user doesn't want."""
    return _named(settings.load(home).without)


def asked_for(home: Home) -> tuple[str, ...]:
    """Those that the user wants even where they don't come in by themselves."""
    return _named(settings.load(home).also)


def chosen(home: Home, capability: tuple[int, int] | None) -> tuple[str, ...]:
    """Those that come in on a device; `capability` is None for a processor."""
    return accelerations.chosen(switched_off(home), packages(), capability, asked_for(home))


def _named(text: str) -> tuple[str, ...]:
    with contextlib.suppress(StudioError):
        return accelerations.names_in(text)
    return ()
