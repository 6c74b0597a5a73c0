"""What every test stands on: an environment of its own, small models, and silence at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from studio.library.folders import ENVIRONMENT, Home
from studio.library.locks import Lock, held
from tests.support import tiny_model as tiny

pytest_plugins = [
    "tests.support.silence",
    "tests.support.leaks",
    "tests.support.nvml",
    "tests.support.keeping_fixtures",
    "tests.support.workers",
]

ROOT = Path(__file__).resolve().parent.parent
STARTER = "SmolLM2-135M-Instruct"

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# nothing a test does may reach the home, the keyring or the hub cache of whoever runs it
_nowhere = tempfile.TemporaryDirectory(prefix="studio-tests-", ignore_cleanup_errors=True)
os.environ[ENVIRONMENT] = str(Path(_nowhere.name) / "home")
os.environ["HF_HOME"] = str(Path(_nowhere.name) / "hub")
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
os.environ.pop("HF_TOKEN", None)
os.environ["FINETUNE_STUDIO_SPARE"] = "no"  # its imports take seconds; its own tests turn it on

hypothesis.settings.register_profile("studio", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("studio")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A fresh studio home; its path has a space, as paths do. A keeper still there is ended."""
    fresh = Home(tmp_path / "studio home").make()
    monkeypatch.setenv(ENVIRONMENT, str(fresh.root))
    yield fresh
    if held(fresh.keeper / "keeper.lock"):
        from studio.client.keeper import quit_keeper

        quit_keeper(fresh)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: random 2-layer Llama, small real tokenizer, ChatML template, pad = eos."""
    return tiny.build(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def starter_model() -> Path:
    """The real starter model's folder, made once by the studio itself and kept for later runs."""
    cache = Home(cache_folder() / "home").make()
    model = cache.models / STARTER
    lock = Lock(cache_folder() / "starter.lock")
    while not lock.acquire():  # another run of the tests is making it
        time.sleep(0.2)
    try:
        if not (model / "config.json").exists():
            _download_starter(cache)
    finally:
        lock.release()
    return model


def cache_folder() -> Path:
    """Outside of what git sees: FINETUNE_STUDIO_TEST_CACHE, or beside the environment's own."""
    named = os.environ.get("FINETUNE_STUDIO_TEST_CACHE")
    folder = Path(named) if named else ROOT / ".venv" / "test-cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _download_starter(cache: Home) -> None:
    verb = ["models", "download", "starter", "--home", str(cache.root)]
    done = subprocess.run(
        [sys.executable, "-m", "studio", *verb], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"the starter model could not be made:\n{done.stderr}"
