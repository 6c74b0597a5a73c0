"""A window's session with a keeper and real engines behind it, all gone at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from studio.client.keeper import quit_keeper
from studio.keeper import sweep
from studio.ui.session import Session

ROOT = Path(__file__).resolve().parents[2]
SOON = 60_000


@contextlib.contextmanager
def live(session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """The session, connected."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with qtbot.waitSignal(session.machine_changed, timeout=SOON):
        session.start()
    try:
        yield session
    finally:
        session.close()
        quit_keeper(session.home)
        for folder in (*session.home.runs.iterdir(), *session.home.jobs.iterdir()):
            sweep.sweep(folder)
