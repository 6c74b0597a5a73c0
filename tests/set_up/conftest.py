"""One miniature clone for all tests of setting up, whole at the start of each."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.clone import Clone, use_index
from tests.support.wheels import wheel


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of a torch, of a newer torch nobody may take, and of what the locks name."""
    folder = tmp_path_factory.mktemp("index")
    for version in ("9.1", "9.2"):
        code = f"__version__ = '{version}'\ncuda = None\n".encode()
        wheel(folder, "torch", version, {"torch/__init__.py": b"", "torch/version.py": code})
    wheel(folder, "alpha", "1.0", {"alpha/__init__.py": b"x = 1\n", "alpha/native.so": b"\x7fELF"})
    wheel(folder, "alpha", "1.1", {"alpha/__init__.py": b"x = 11\n"})
    wheel(folder, "beta", "2.0", {"beta/__init__.py": b""}, requires=("torch",))
    wheel(folder, "tool", "3.0", {"tool.py": b""})
    return folder


@pytest.fixture(scope="session")
def _only_clone(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("a clone"), index)


@pytest.fixture
def clone(_only_clone: Clone, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A clone whose environment is whole; what a test breaks, the next one finds mended."""
    use_index(monkeypatch, _only_clone.index)
    folders = os.environ["PATH"].split(os.pathsep)
    without_card = [folder for folder in folders if not Path(folder, "nvidia-smi").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(without_card))
    monkeypatch.setattr("torch_build.index_reachable", lambda: False)
    _only_clone.lock("torch", "torch==9.1")
    _only_clone.lock("product", "alpha==1.0", "beta==2.0")
    _only_clone.lock("test", "tool==3.0")
    _only_clone.prepare()
    return _only_clone


@pytest.fixture
def closed_port() -> int:
    """A port of this machine where nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
