"""Has an engine look for cards that NVML can't see, where the installed torch is made for them."""

from __future__ import annotations

import logging

from studio.core import commands
from studio.core.errors import StudioError
from studio.keeper.engines import Engines
from studio.keeper.overseer import Overseer
from studio.library import jobs, seen_cards
from studio.library.folders import Home

_log = logging.getLogger(__name__)


class Prober(Overseer):
    """Asks once in a keeper's life; what is seen is kept for the next."""

    def __init__(self, home: Home, engines: Engines) -> None:
        self._home = home
        self._engines = engines
        self._asked = False

    def tick(self, now: float) -> None:
        """Start the look."""
        if self._asked:
            return
        self._asked = True
        if not seen_cards.wants_a_look(self._home):
            return
        try:
            self._engines.start(jobs.create(self._home, commands.Probe()), None, None)
        except (StudioError, OSError) as error:
            _log.warning("nobody can look for cards: %s", error)
