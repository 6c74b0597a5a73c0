"""What the doctor says of a card, from what the driver answers."""

from __future__ import annotations

import importlib.metadata

import pytest

from studio.client.actions import doctor
from studio.client.actions.doctor import Finding
from studio.core.facts import Gpu, Machine
from studio.library import settings
from studio.library.folders import Home
from tests.support.nvml import GIB, FakeCards


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
    assert "RTX 4090: 16.0 of 24.0 GB free, 8.0 used by other programs" in found.text
    assert "0.5 kept for the desktop, driver 580.65.06." in found.text
    assert "runs use this one" not in found.text


def test_every_card_is_shown_and_which_one_runs_use(
    home: Home, fake_cards: FakeCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_torch(monkeypatch, "2.13.0+cu130")
    settings.save(home.make(), settings.Settings(reserve_bytes=2 * GIB))
    fake_cards.add(name="NVIDIA GeForce RTX 3060", uuid="GPU-b", total=12 * GIB, used=GIB)
    large, small = (one for one in doctor.diagnose(home) if one.name == "GPU")
    assert "0, NVIDIA GeForce RTX 4090: 16.0 of" in large.text
    assert "2.0 kept for the desktop, runs use this one" in large.text
    assert "1, NVIDIA GeForce RTX 3060: 11.0 of 12.0 GB free, 1.0 used by" in small.text
    assert "runs use this one" not in small.text
    settings.save(home, settings.Settings(card="3060"))
    large, small = (one for one in doctor.diagnose(home) if one.name == "GPU")
    assert "runs use this one" in small.text
    assert "runs use this one" not in large.text


def test_a_card_that_only_torch_sees(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    arc = Gpu(index=0, name="Arc", vendor="intel", total_bytes=16 * GIB, used_bytes=0, free_bytes=9)
    machine = Machine(idle_gpus=(arc,))
    monkeypatch.setattr(doctor, "_vendors", set)
    texts = [found.text for found in doctor._cards(machine)]
    assert texts == [
        "Training runs on the processor.",
        "Arc: 16.0 GB. The studio doesn't train on it.",
    ]


def test_an_amd_card_without_its_build_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_vendors", lambda: {doctor.AMD})
    (found,) = doctor._cards(Machine())
    assert "no build for it" in found.text
    radeon = Gpu(
        index=0, name="RX", vendor="amd", total_bytes=16 * GIB, used_bytes=0, free_bytes=16 * GIB,
        compute_capability=(7, 5), driver="ROCm 7.0",
    )  # fmt: skip
    with_torch(monkeypatch, "2.13.0+rocm7.0")
    (found,) = doctor._cards(Machine(gpus=(radeon,)))
    assert (found.status, "ROCm 7.0" in found.text) == ("ok", True)


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
