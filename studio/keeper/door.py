"""The place where clients knock: listens, and hands over each connection."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Listener

from studio.library import rendezvous
from studio.library.folders import Home

_log = logging.getLogger(__name__)


class ListeningDoor:
    """Open from creation until `close`."""

    def __init__(self, home: Home, welcome: Callable[[Connection, bytes], None]) -> None:
        rendezvous.remove_door(home)
        self._home = home
        self._door = rendezvous.new_door()
        self._welcome = welcome
        self._closed = threading.Event()
        family = "AF_PIPE" if sys.platform == "win32" else "AF_UNIX"
        self._listener = Listener(self._door.address, family, backlog=32)
        threading.Thread(target=self._accept, name="door", daemon=True).start()
        rendezvous.write_door(home, self._door)

    def close(self) -> None:
        self._closed.set()
        self._listener.close()
        rendezvous.remove_door(self._home)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection = self._listener.accept()
            except (OSError, EOFError) as error:
                _log.warning("a connection failed: %s", error)
                self._closed.wait(0.1)
                continue
            self._welcome(connection, self._door.key)
