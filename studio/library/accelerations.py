"""Which accelerations this installation has and this home folder wants."""

from __future__ import annotations

import contextlib
import importlib.util

from studio.core import accelerations
from studio.core.errors import StudioError
from studio.library import settings
from studio.library.folders import Home


def packages() -> tuple[str, ...]:
    """The modules beyond the studio's own that are installed; none is imported."""
    wanted = {one.package for one in accelerations.ALL if one.package}
    return tuple(sorted(name for name in wanted if importlib.util.find_spec(name)))


def switched_off(home: Home) -> tuple[str, ...]:
    """Those that the user doesn't want."""
    with contextlib.suppress(StudioError):
        return accelerations.names_in(settings.load(home).without)
    return ()


def chosen(home: Home, capability: tuple[int, int] | None) -> tuple[str, ...]:
    """Those that come in by themselves on a device; `capability` is None for a processor."""
    return accelerations.chosen(switched_off(home), packages(), capability)
