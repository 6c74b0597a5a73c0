"""Names and places that every system takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.library.folders import default_root, free_path, legal_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SmolLM2 135M / lora", "SmolLM2-135M-lora"),
        ("con", "con-"),
        ("NUL.txt", "NUL.txt-"),
        ("  ...  ", "unnamed"),
        ("..\\..\\etc", "etc"),
        ("Größe", "Größe"),
    ],
)
def test_legal_names(text: str, name: str) -> None:
    assert legal_name(text) == name


@given(st.text(max_size=300))
def test_any_text_makes_a_name_that_stays_in_its_folder(text: str) -> None:
    name = legal_name(text)
    assert 0 < len(name) <= 81
    assert not set(name) & set('<>:"/\\|?*\0')
    assert name not in (".", "..")
    assert not name.endswith((" ", "."))


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert free_path(tmp_path, "run") == tmp_path / "run-3"


def test_the_environment_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_STUDIO_HOME", str(tmp_path / "here"))
    assert default_root() == tmp_path / "here"
