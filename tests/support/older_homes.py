"""Homes as older studios left them (tests/fixtures/formats), made usable on this machine."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from studio.library.folders import Home

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "formats"
PLAYER = "/home/player"
FORMATS, LOSSES = "formats.json", "losses.json"


def names() -> list[str]:
    """The fixtures: v1, v2, …"""
    return sorted(path.stem for path in FIXTURES.glob("v*.zip"))


def formats(name: str) -> dict[str, int]:
    """The formats of what lies in a fixture, by kind."""
    said: dict[str, int] = _said(name, FORMATS)
    return said


def losses(name: str) -> list[float]:
    """Of the steps that the paused run took when the older studio itself went on with it."""
    said: list[float] = _said(name, LOSSES)
    return said


def unpack(name: str, place: Path, tiny_model: Path) -> Home:
    """A copy of a fixture in a new home at `place`, its model beside it, nothing written yet.

    The folder of the player who left it becomes that of this machine, as moving it there would.
    """
    home = Home(place / "finetune-studio")
    with zipfile.ZipFile(FIXTURES / f"{name}.zip") as archive:
        archive.extractall(home.root)
    for about in (FORMATS, LOSSES):
        (home.root / about).unlink()
    for file in home.root.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".yaml", ".md"):
            text = file.read_text("utf-8")
            if PLAYER in text:
                file.write_text(text.replace(PLAYER, place.as_posix()), "utf-8", newline="\n")
    shutil.copytree(tiny_model, home.models / "tiny-llama")
    return home


def _said(name: str, file: str) -> Any:
    with zipfile.ZipFile(FIXTURES / f"{name}.zip") as archive:
        return json.loads(archive.read(file))
