"""Runs on disk: create, list, find, rename, delete."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import msgspec
import pytest

from studio.core import events
from studio.core.commands import Chat, Train
from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart, ModelPart, Recipe, TrainingPart
from studio.library import jobs, runs, trash
from studio.library.folders import Home, JobFolder
from studio.library.locks import Lock

RECIPE = Recipe(
    model=ModelPart(path="/models/SmolLM2-135M"),
    dataset=(DatasetPart(path="sample"),),
    training=TrainingPart(epochs=1.5),
)


def test_a_new_run(home: Home) -> None:
    folder = runs.create(home, RECIPE)
    assert folder == home.runs / "SmolLM2-135M-lora"
    assert runs.recipe_of(folder) == RECIPE
    assert jobs.job_of(folder) == Train()
    state = runs.state_of(folder)
    assert (state.kind, state.state) == ("train", "created")
    assert state.created_at > 0


def test_a_run_that_can_not_be_written_leaves_no_folder(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes | str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jobs, "write_whole", refuse)
    with pytest.raises(OSError, match="No space"):
        runs.create(home, RECIPE)
    assert list(home.runs.iterdir()) == []


def test_names_are_made_legal_and_unique(home: Home) -> None:
    named = msgspec.structs.replace(RECIPE, name="my: run/№1")
    first, second = runs.create(home, named), runs.create(home, named)
    assert first.parent == second.parent == home.runs
    assert second.name == f"{first.name}-2"


def test_created_at_once_from_many_threads(home: Home) -> None:
    made: list[Path] = []
    threads = [
        threading.Thread(target=lambda: made.append(runs.create(home, RECIPE))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8


def test_listing_has_all_runs_and_living_jobs_newest_first(home: Home) -> None:
    old = runs.create(home, RECIPE)
    new = runs.create(home, RECIPE)
    jobs.append(old, events.Started(pid=1, total_steps=10))
    dead, alive = (jobs.create(home, Chat(model="m")) for _ in range(2))
    (home.runs / "no run").mkdir()
    with _held(alive):
        rows = runs.listing(home)
    assert [row.path for row in rows] == [alive, new, old]
    assert dead not in [row.path for row in rows]
    assert [(row.kind, row.living) for row in rows] == [
        ("chat", True),
        ("train", False),
        ("train", False),
    ]
    assert rows[2].state.total_steps == 10


def test_the_state_follows_the_log(home: Home) -> None:
    folder = runs.create(home, RECIPE)
    assert runs.state_of(folder).state == "created"
    jobs.append(folder, events.Started(pid=1))
    assert runs.state_of(folder).state == "running"
    jobs.append(folder, events.Finished(result={"steps": 1}))
    assert runs.state_of(folder).state == "finished"
    runs.delete(home, folder)
    again = runs.create(home, RECIPE)
    assert again == folder
    assert runs.state_of(again).state == "created"


def test_find(home: Home) -> None:
    for name in ("alpha", "alpine", "beta", "bet"):
        runs.create(home, msgspec.structs.replace(RECIPE, name=name))
    assert runs.find(home, "alpha").name == "alpha"
    assert runs.find(home, "alpi").name == "alpine"
    assert runs.find(home, "bet").name == "bet"
    assert runs.find(home, str(home.runs / "beta")).name == "beta"
    with pytest.raises(StudioError, match="alpha, alpine"):
        runs.find(home, "al")
    for nothing in ("gamma", "", "."):
        with pytest.raises(StudioError, match="No such run"):
            runs.find(home, nothing)


def test_delete_can_be_undone(home: Home) -> None:
    folder = runs.create(home, RECIPE)
    entry = runs.delete(home, folder)
    assert not folder.exists()
    assert runs.listing(home) == []
    assert trash.restore(entry) == folder
    assert runs.recipe_of(folder) == RECIPE


def test_rename(home: Home) -> None:
    folder, other = runs.create(home, RECIPE), runs.create(home, RECIPE)
    renamed = runs.rename(home, folder, "a better name")
    assert renamed.name == "a-better-name"
    with pytest.raises(StudioError, match="taken"):
        runs.rename(home, other, "a better name")


def test_what_runs_is_neither_deleted_nor_renamed(home: Home) -> None:
    folder = runs.create(home, RECIPE)
    with _held(folder):
        for change in (lambda: runs.delete(home, folder), lambda: runs.rename(home, folder, "x")):
            with pytest.raises(StudioError, match="at work"):
                change()
    assert folder.is_dir()


@pytest.mark.parametrize("content", ["", "a: [", "method: magic", "\x00", "- 1"])
def test_a_broken_recipe_is_said(home: Home, content: str) -> None:
    folder = runs.create(home, RECIPE)
    JobFolder(folder).recipe.write_text(content, "utf-8")
    with pytest.raises(StudioError, match="can't be read"):
        runs.recipe_of(folder)


class _held:
    """As if an engine were at work there."""

    def __init__(self, folder: Path) -> None:
        self._lock = Lock(JobFolder(folder).lock)

    def __enter__(self) -> None:
        assert self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
