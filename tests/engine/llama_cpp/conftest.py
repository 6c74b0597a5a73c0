"""Models as GGUF, each made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.engine.llama_cpp import convert
from tests.support import gguf_files


def nothing(share: float) -> None:
    """Hears how far something is."""


@pytest.fixture(scope="session")
def small(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random small model."""
    gguf_files.parts_are_there()
    return gguf_files.small_model(starter_model, tmp_path_factory.mktemp("small") / "small llama")


@pytest.fixture(scope="session")
def small_gguf(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model as GGUF in 32 bits."""
    out = tmp_path_factory.mktemp("gguf") / "small.gguf"
    convert.model(small, out, "f32", name="Small one", licence="apache-2.0", tick=nothing)
    return out


@pytest.fixture(scope="session")
def starter_gguf(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter model as GGUF in 16 bits."""
    gguf_files.parts_are_there()
    out = tmp_path_factory.mktemp("gguf") / "starter.gguf"
    convert.model(starter_model, out, "f16", name="starter", licence="", tick=nothing)
    return out
