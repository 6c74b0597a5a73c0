"""What the doctor says of a card, from what the driver answers."""

from __future__ import annotations

import importlib.metadata

import pytest

from studio.client.actions import doctor
from studio.client.actions.doctor import Finding
from studio.library.folders import Home
from tests.support.nvml import FakeCards


def gpu(home: Home) -> Finding:
    (found,) = [one for one in doctor.diagnose(home) if one.name == "GPU"]
    return found


def with_torch(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: version if name == "torch" else real(name)
    )


def test_a_card_that_works(
    home: Home, fake_cards: FakeCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_torch(monkeypatch, "2.13.0+cu130")
    found = gpu(home)
    assert found.status == "ok"
    assert "RTX 4090: 16.0 of 24.0 GB free" in found.text


def test_a_card_that_torch_was_not_built_for(
    home: Home, fake_cards: FakeCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_torch(monkeypatch, "2.13.0+cpu")
    found = gpu(home)
    assert found.status == "problem"
    assert "packaging/run.py" in found.fix


@pytest.mark.parametrize(
    ("capability", "status", "words"),
    [("7.5", "ok", "no bf16"), ("5.2", "warning", "too old for 4-bit")],
)
def test_an_older_card(
    home: Home,
    fake_cards: FakeCards,
    monkeypatch: pytest.MonkeyPatch,
    capability: str,
    status: str,
    words: str,
) -> None:
    with_torch(monkeypatch, "2.13.0+cu130")
    fake_cards.set(capability=capability)
    found = gpu(home)
    assert found.status == status
    assert words in found.text


def test_a_missing_library_is_a_problem(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "peft":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    (found,) = [one for one in doctor.diagnose(home) if one.name == "peft"]
    assert (found.status, found.fix) == ("problem", doctor.REPAIR)
