"""Wheels of a few lines, an index that serves them, and an optional part made of one."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from studio.core.parts import Part
from studio.library import parts

NAME, MODULE = "finetune-studio-test-part", "finetune_studio_test_part"


def only_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows; what it installs goes into a folder of the test."""
    folder, site = tmp_path / "index", tmp_path / "site"
    folder.mkdir()
    site.mkdir()
    for key, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_TARGET": str(site),
        "PIP_UPGRADE": "1",
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    return folder


def toy_part(**changes: object) -> Part:
    """A part of one package, with other facts where they are named."""
    facts: dict[str, object] = {
        "name": "toy",
        "title": "The toy",
        "brings": "Nothing.",
        "needed_for": ("tests",),
        "requirements": (f"{NAME}==1.0",),
        "download_bytes": {"any": 1000},
        "installed_bytes": 1000,
        "licence": "MIT",
        "source": "",
    }
    return Part(**(facts | changes))  # type: ignore[arg-type]


def offer(monkeypatch: pytest.MonkeyPatch, one: Part) -> Part:
    """Make this the only part that there is."""
    monkeypatch.setattr(parts, "every", lambda: (one,))
    return one


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str] = {}) -> Path:
    """A wheel of this distribution in the folder; `files` are what it installs."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    content = dict(files) | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        record += f"{path},sha256={digest.rstrip('=')},{len(text)}\n"
    wheel = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in (content | {f"{info}/RECORD": record}).items():
            archive.writestr(path, text)
    return wheel
