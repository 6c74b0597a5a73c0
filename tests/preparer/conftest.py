"""Model folders of several families, all on the small tokenizer of the tiny model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.preparer import templates

Family = Callable[[str], Path]


@pytest.fixture(scope="session")
def family(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A model folder by the name of its family."""
    root = tmp_path_factory.mktemp("families")

    def folder(name: str) -> Path:
        made = root / name
        return made if made.exists() else templates.model_folder(made, tiny_model, name)

    return folder
