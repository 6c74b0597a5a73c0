"""What an engine finds in its environment."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from studio.keeper import launching

PROGRAM = "import json, os; print(json.dumps(dict(os.environ)))"


def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv(launching.COMMAND, shlex.join([sys.executable, "-c", PROGRAM]))
    process = launching.start([], "mark", subprocess.PIPE, listens=False)
    said, _ = process.communicate()
    environment: dict[str, str] = json.loads(said)
    return environment


def test_kernels_are_few_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in launching.KERNEL_CACHES:
        monkeypatch.delenv(name, raising=False)
    assert launching.KERNEL_CACHES.items() <= found(monkeypatch).items()
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    assert found(monkeypatch)["LRU_CACHE_CAPACITY"] == "7"


def test_text_is_utf_8_whatever_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUTF8", "0")
    assert found(monkeypatch)["PYTHONUTF8"] == "1"
