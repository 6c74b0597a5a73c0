"""What a newer studio wrote is said and left as it is; what an older one wrote is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from studio.core import events
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.core.run_state import allowed
from studio.core.upgrades import FORMATS, Newer
from studio.library import adapters, jobs, runs, settings
from studio.library.folders import Home
from tests.support.adapter_files import write_adapter

RECIPE = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))
ABOVE = 1000


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with the time it was written and its content, folders with theirs."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *folder.rglob("*"))
    }


def of_a_newer_studio(home: Home) -> Path:
    """A run with an event that nobody knows yet."""
    folder = runs.create(home, RECIPE)
    log = folder / "events.jsonl"
    made = events.Created(kind="train", format=FORMATS["run"] + 1, time=5.0)
    paused = events.Paused(checkpoint="c", step=4)
    lines = (events.encode(made), b'{"event":"dreamt","of":"sheep"}', events.encode(paused))
    log.write_bytes(b"".join(line + b"\n" for line in lines))
    (folder / "data").mkdir()
    (folder / "data" / "manifest.json").write_text("{}", "utf-8")
    return folder


def test_a_home_says_its_format(tmp_path: Path) -> None:
    home = Home(tmp_path / "new").make()
    assert json.loads(home.stamp.read_bytes()) == {"format": FORMATS["home"]}
    before = files(home.root)
    home.make()
    assert files(home.root) == before


def test_a_newer_home_is_refused_untouched(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.stamp.write_text(json.dumps({"format": FORMATS["home"] + 1}), "utf-8")
    before = files(home.root)
    with pytest.raises(Newer, match="newer version") as refused:
        home.make()
    assert "Update the studio" in refused.value.fix
    assert files(home.root) == before


def test_a_newer_run_is_listed_with_its_sentence(home: Home) -> None:
    folder, own = of_a_newer_studio(home), runs.create(home, RECIPE)
    rows = {row.path: row for row in runs.listing(home)}
    newer = rows[folder].state
    assert (newer.state, newer.kind, newer.created_at) == ("newer", "train", 5.0)
    assert newer.title == "Made by a newer studio"
    assert "Update" in newer.fix
    assert allowed(newer) == frozenset()
    assert rows[own].state.state == "created"


@pytest.mark.parametrize(
    "act",
    [
        lambda home, folder: runs.startable(folder),
        lambda home, folder: runs.rename(home, folder, "mine"),
        runs.delete,
        lambda home, folder: jobs.take_up(folder),
    ],
    ids=["start", "rename", "delete", "take up"],
)
def test_a_newer_run_is_left_as_it_is(home: Home, act: Callable[[Home, Path], object]) -> None:
    folder = of_a_newer_studio(home)
    before = files(home.root)
    with pytest.raises(Newer) as refused:
        act(home, folder)
    assert folder.name in refused.value.text
    assert files(home.root) == before


def test_an_older_run_is_todays_once_it_is_taken_up(home: Home) -> None:
    folder = runs.create(home, RECIPE)
    log = folder / "events.jsonl"
    log.write_text('{"event":"created","time":7.5,"kind":"train"}\n', "utf-8")
    jobs.append(folder, events.Started(pid=1, total_steps=9))
    jobs.append(folder, events.Paused(checkpoint="c", step=4))
    before = runs.state_of(folder)
    assert before.format == 1
    jobs.take_up(folder)
    jobs.take_up(folder)
    after = runs.state_of(folder)
    assert after == msgspec.structs.replace(before, format=FORMATS["run"])
    made = [e for e in jobs.read_events(folder)[0] if isinstance(e, events.Created)]
    assert [(event.format, event.time) for event in made] == [(1, 7.5), (FORMATS["run"], 7.5)]


def test_newer_settings_are_left_as_they_are(home: Home) -> None:
    settings.save(home, settings.Settings(theme="dark"))
    kept = json.loads(home.settings.read_bytes())
    assert kept["format"] == FORMATS["settings"]
    home.settings.write_text(json.dumps(kept | {"format": ABOVE, "theme": ["new"]}), "utf-8")
    before = files(home.root)
    assert settings.load(home) == settings.Settings()
    with pytest.raises(Newer, match="settings"):
        settings.save(home, settings.Settings(theme="light"))
    assert files(home.root) == before


def test_broken_settings_are_written_anew(home: Home) -> None:
    home.settings.write_text("{", "utf-8")
    settings.save(home, settings.Settings(theme="light"))
    assert settings.load(home).theme == "light"


def test_a_newer_adapter_is_listed_and_left_as_it_is(home: Home, tmp_path: Path) -> None:
    folder = adapters.import_folder(home, write_adapter(tmp_path / "made"))
    facts = json.loads((folder / "studio.json").read_bytes())
    assert facts["format"] == FORMATS["adapter"]
    (folder / "studio.json").write_text(json.dumps(facts | {"format": ABOVE}), "utf-8")
    before = files(home.root)
    [row] = adapters.listing(home)
    assert "newer version" in row.problem
    for act in (
        lambda: adapters.facts(folder),
        lambda: adapters.rename(home, folder, "mine"),
        lambda: adapters.delete(home, folder),
        lambda: adapters.import_folder(home, folder),
    ):
        with pytest.raises(Newer):
            act()
    assert files(home.root) == before


def test_a_newer_adapter_with_broken_files_is_listed_too(home: Home, tmp_path: Path) -> None:
    folder = adapters.import_folder(home, write_adapter(tmp_path / "made"))
    (folder / "studio.json").write_text(json.dumps({"format": ABOVE}), "utf-8")
    (folder / "adapter_model.safetensors").write_bytes(b"short")
    [row] = adapters.listing(home)
    assert row.problem
