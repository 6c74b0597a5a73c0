"""A clone in miniature: a real environment and a real pip, over an index of tiny packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parent.parent.parent / "packaging"
if str(PACKAGING) not in sys.path:
    sys.path.append(str(PACKAGING))

from environment import Environment  # noqa: E402

BACKEND = """
import sys
sys.path.append({support!r})
from wheels import wheel

def build_editable(folder, settings=None, metadata=None):
    return wheel(folder, "finetune-studio", "0.1", {{"finetune_studio.pth": b"."}}).name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "finetune-studio"
version = "0.1"
"""


class Clone:
    """The folder of a clone, its environment, and the index that pip sees."""

    def __init__(self, root: Path, index: Path) -> None:
        self.root = root
        self.index = index
        self.environment = Environment(root)
        support = str(Path(__file__).parent)
        (root / "backend.py").write_text(BACKEND.format(support=support), "utf-8")
        (root / "pyproject.toml").write_text(PROJECT, "utf-8")

    @property
    def site(self) -> Path:
        """Where the environment's packages lie."""
        return next(self.environment.venv.glob("lib/python3*/site-packages"))

    def lock(self, name: str, *pins: str) -> None:
        """Write one of the locks."""
        lock = self.root / "packaging" / "lock" / f"{name}.txt"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("".join(f"{pin}\n" for pin in pins), "utf-8")

    def prepare(self, *groups: str) -> Path:
        """Set up as packaging/run.py does, without the system's own packages."""
        return self.environment.prepare(groups or ("product",), system=False)


def use_index(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """pip sees this folder and nothing else, whatever the machine's own settings are."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
