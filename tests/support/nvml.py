"""Fake NVIDIA cards: the real nvidia-ml-py over a library whose cards a test describes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "fakes" / "nvml.c"
GIB = 1 << 30
A_CARD: dict[str, object] = {
    "name": "NVIDIA GeForce RTX 4090",
    "uuid": "GPU-fake",
    "total": 24 * GIB,
    "used": 8 * GIB,
    "utilization": 87,
    "temperature": 66,
    "power": 312_000,
    "power_limit": 450_000,
    "capability": "8.9",
}


class FakeCards:
    """What the fake driver answers, from now on and in every process started from here."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._driver: dict[str, object] = {"driver": "580.65.06", "cuda": 13000}
        self._cards = [dict(A_CARD)]
        self._write()

    def set(self, card: int = 0, **values: object) -> None:
        """Change a card: name, uuid, total, used (bytes), utilization (percent), temperature
        (°C), power, power_limit (mW), capability ("8.9"), processes and graphics
        ("pid:bytes,pid:-"), error (its answer to everything); None: the card doesn't support the
        question."""
        self._cards[card] |= values
        self._write()

    def add(self, **values: object) -> None:
        """One more card."""
        self._cards.append(A_CARD | values)
        self._write()

    def break_down(self, error: int = 15) -> None:
        """From now on every question fails with this NVML error; 15 is "GPU is lost"."""
        self._driver["error"] = error
        self._write()

    def _write(self) -> None:
        lines = {"count": len(self._cards)} | self._driver
        for number, card in enumerate(self._cards):
            lines |= {f"{number}.{k}": "-" if v is None else v for k, v in card.items()}
        whole = self._state.with_suffix(".new")
        whole.write_text("".join(f"{k} {v}\n" for k, v in lines.items()), "utf-8")
        whole.replace(self._state)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled fake, under the name that nvidia-ml-py asks for."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("the fake NVML library needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{library.name}"]
    subprocess.run([compiler, *options, "-o", library, SOURCE], check=True)
    return library


@pytest.fixture
def fake_cards(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCards:
    """One RTX 4090 here and in every child process; change it with `.set(used=…)`."""
    state = tmp_path / "nvml-state"
    monkeypatch.setenv("FAKE_NVML_STATE", str(state))
    before = os.environ.get("LD_LIBRARY_PATH")
    paths = [str(nvml_library.parent), *([before] if before else [])]
    monkeypatch.setenv("LD_LIBRARY_PATH", ":".join(paths))
    ctypes.CDLL(str(nvml_library))  # a library with this soname is loaded: dlopen takes it
    return FakeCards(state)
