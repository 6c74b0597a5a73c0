"""A spilling card, shown by a fake driver to the real NVML binding."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from studio.core import events as ev
from studio.core.commands import Train
from studio.engine import spill
from studio.engine.channel import Channel
from studio.engine.spill import SpillWatch
from studio.library import jobs
from studio.library.folders import Home
from tests.engine.making import said
from tests.support.nvml import GIB, FakeCards


@pytest.fixture
def folder(home: Home) -> Path:
    return jobs.create(home, Train())


def test_a_full_card_and_slow_steps_are_said_once(folder: Path, fake_cards: FakeCards) -> None:
    fake_cards.set(used=int(23.8 * GIB))
    watch = SpillWatch(Channel(folder), "fake")
    for _ in range(8):
        watch.hear(1.0, 1000)
    assert said(folder, ev.Note) == []
    for _ in range(8):
        watch.hear(5.0, 1000)
    (note,) = said(folder, ev.Note)
    assert note.severity == "warning"
    assert "Sysmem Fallback Policy" in note.text


def test_long_rows_or_a_card_with_room_are_no_spill(folder: Path, fake_cards: FakeCards) -> None:
    fake_cards.set(used=int(23.8 * GIB))
    watch = SpillWatch(Channel(folder), "fake")
    for seconds, tokens in [(1.0, 1000)] * 8 + [(5.0, 5000)] * 8:
        watch.hear(seconds, tokens)
    fake_cards.set(used=12 * GIB)
    for _ in range(8):
        watch.hear(5.0, 1000)
    assert said(folder, ev.Note) == []


def test_what_the_driver_does_not_say_is_not_known(fake_cards: FakeCards) -> None:
    assert spill.used_share("fake") == pytest.approx(1 / 3)
    assert spill.used_share("another") is None
    fake_cards.set(used=None)
    assert spill.used_share("fake") is None
    fake_cards.break_down()
    assert spill.used_share("fake") is None


def test_only_a_windows_driver_is_watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spill.watch(Channel(folder), torch.device("cpu")) is None
    assert spill.watch(Channel(folder), torch.device("cuda", 0)) is None
    monkeypatch.setattr(platform, "release", lambda: "5.15.153.1-microsoft-standard-WSL2")
    assert spill.watch(Channel(folder), torch.device("cpu")) is None
