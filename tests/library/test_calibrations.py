"""Measurements on disk: the newest stay, and a file that can't be read or written is no reason to
fail."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from studio.core.calibration import Calibration, CalibrationKey
from studio.core.upgrades import FORMATS
from studio.library import calibrations
from studio.library.folders import Home
from studio.library.locks import Lock


def one(ratio: float, kernel: str = "lora") -> Calibration:
    key = CalibrationKey(device="A card", driver="1.0", kernel=kernel)
    return Calibration(key=key, ratio=ratio, peak_bytes=2, expected_bytes=1, at=ratio)


def test_a_home_without_measurements_has_none(home: Home) -> None:
    assert calibrations.kept(home) == ()


def test_the_newest_of_each_kind_are_kept_in_order(home: Home) -> None:
    assert calibrations.remember(home, one(0.5, "qlora"))
    for number in range(30):
        assert calibrations.remember(home, one(1.0 + number))
    found = calibrations.kept(home)
    assert found[0] == one(0.5, "qlora")
    assert found[-1] == one(30.0)
    assert [entry.ratio for entry in found[1:]] == [float(n) for n in range(11, 31)]


def test_a_broken_file_is_begun_anew(home: Home) -> None:
    home.calibrations.write_text("{torn", "utf-8")
    assert calibrations.kept(home) == ()
    assert calibrations.remember(home, one(1.5))
    assert calibrations.kept(home) == (one(1.5),)


def test_a_newer_studios_file_is_left_alone(home: Home) -> None:
    content = json.dumps({"format": FORMATS["calibrations"] + 1})
    home.calibrations.write_text(content, "utf-8")
    assert calibrations.kept(home) == ()
    assert not calibrations.remember(home, one(1.5))
    assert home.calibrations.read_text("utf-8") == content


def test_two_that_write_at_once_lose_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrations, "_PATIENCE_SECONDS", 0.05)
    other = Lock(home.calibrations.with_suffix(".lock"))
    assert other.acquire()
    try:
        assert not calibrations.remember(home, one(1.5))
    finally:
        other.release()
    assert calibrations.remember(home, one(1.5))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that refuses")
def test_a_folder_that_refuses_fails_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert not calibrations.remember(Home(tmp_path), one(1.5))


def test_a_home_that_is_no_folder_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert not calibrations.remember(Home(tmp_path / "file"), one(1.5))
