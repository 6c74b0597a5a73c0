"""The keeper's process: `python -m studio keeper --home HOME`."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Sequence
from pathlib import Path

from studio.keeper.service import Service
from studio.library import rendezvous
from studio.library.folders import Home
from studio.library.locks import Lock

IDLE_SECONDS = 15.0


def main(argv: Sequence[str] | None = None) -> int:
    """Keep a home until nothing is left to do; 0 also where another keeper does already."""
    parser = argparse.ArgumentParser(prog="finetune-studio keeper")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds")
    parser.add_argument("--patience", type=float, default=1.0, help="factor on its deadlines")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = Home(options.home.absolute()).make()
    lock = Lock(rendezvous.lock_file(home))
    if not lock.acquire():
        return 0
    service = Service(home, idle=options.idle, scale=options.patience)
    signal.signal(signal.SIGTERM, lambda *_: service.leaving.set())
    signal.signal(signal.SIGINT, lambda *_: service.leaving.set())
    try:
        service.run()
    finally:
        lock.release()
    return 0
