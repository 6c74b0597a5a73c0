"""Where a merged model may be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.client.actions import free_out
from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import resources, runs
from studio.library.folders import Home


def test_a_new_or_empty_folder_is_free(home: Home, tmp_path: Path) -> None:
    assert free_out(home, tmp_path / "new" / "deep") == tmp_path / "new" / "deep"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert free_out(home, empty) == empty
    assert list(empty.iterdir()) == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "mark", ["config.json", "adapter_config.json", "events.jsonl", "dataset_info.json"]
)
def test_inside_what_is_known_is_refused(home: Home, tmp_path: Path, mark: str) -> None:
    (tmp_path / mark).touch()
    with pytest.raises(StudioError, match=r"lies inside an? "):
        free_out(home, tmp_path / "deep" / "er")


def test_inside_a_folder_that_a_run_was_trained_on_is_refused(home: Home, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows.jsonl").write_text("{}", encoding="utf-8")
    assert free_out(home, data / "out")
    part = DatasetPart(path=str(data))
    runs.create(home, Recipe(model=ModelPart(path="m"), dataset=(part,)))
    with pytest.raises(StudioError, match="dataset"):
        free_out(home, data / "out")


def test_inside_the_sample_is_refused(home: Home) -> None:
    with pytest.raises(StudioError, match="dataset"):
        free_out(home, resources.path("sample") / "out")


def test_only_the_models_folder_of_the_studio_is_free(home: Home) -> None:
    assert free_out(home, home.models / "out")
    for folder in (home.adapters, home.keeper, home.trash):
        with pytest.raises(StudioError, match="inside a folder of the studio"):
            free_out(home, folder / "out")


def test_a_link_does_not_lead_around(home: Home, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").touch()
    link = tmp_path / "link"
    link.symlink_to(model, target_is_directory=True)
    with pytest.raises(StudioError, match="inside a model"):
        free_out(home, link / "out")


@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_is_taken_is_refused(home: Home, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "something").touch()
    with pytest.raises(StudioError, match="not empty"):
        free_out(home, tmp_path / name)
