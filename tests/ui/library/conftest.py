"""The Library page: empty, and with three adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.session import Session
from tests.support.adapter_files import write_adapter
from tests.ui.show import Show


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "made elsewhere", size=0.5)


@pytest.fixture
def three(home: Home, own_model: Path, source: Path) -> list[Path]:
    """Three adapters of the tiny model, the first the latest."""
    rows = [
        ("Orders", "qlora", "sample"),
        ("Pirate", "lora", "pirates.jsonl"),
        ("Calm", "lora", ""),
    ]
    return [
        adapters.add(
            home,
            source,
            name,
            AdapterFacts(
                base=str(own_model), method=kind, dataset=data, eval_loss=0.125 * (n + 1),
                created_at=2_000_000_000.0 - n,
            ),
        )
        for n, (name, kind, data) in enumerate(rows)
    ]  # fmt: skip


@pytest.fixture
def page(session: Session, show: Show) -> LibraryPage:
    made = LibraryPage(session)
    made.resize(1056, 800)
    show(made)
    return made


@pytest.fixture
def filled(three: list[Path], page: LibraryPage, qtbot: QtBot) -> LibraryPage:
    qtbot.waitUntil(lambda: page.model.total == 3)
    return page
