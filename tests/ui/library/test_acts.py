"""What is done with an adapter of the Library, by real clicks and keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.core.events import Sampled, Step
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import adapters, jobs, runs
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.session import Session
from studio.ui.widgets import NameDialog
from tests.ui.library.hands import answer, click, names, pick

pytestmark = pytest.mark.gui


def test_chat_opens_with_the_base_that_was_found(
    filled: LibraryPage, three: list[Path], own_model: Path, session: Session, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(session.open_chat) as caught:
        click(qtbot, filled.details.chat)
    assert caught.args == [str(own_model), [str(three[0])]]
    with qtbot.waitSignal(session.open_chat):
        filled.list.setFocus()
        qtbot.keyClick(filled.list, Qt.Key.Key_Return)


def test_a_base_that_is_gone_is_said(filled: LibraryPage, own_model: Path, qtbot: QtBot) -> None:
    (own_model / "config.json").unlink()
    click(qtbot, filled.details.chat)
    qtbot.waitUntil(lambda: filled.doing.base_dialog is not None)
    dialog = filled.doing.base_dialog
    assert dialog is not None
    assert dialog.isVisible()
    dialog.reject()


def test_a_base_is_asked_for_and_then_what_was_wanted_goes_on(
    filled: LibraryPage, own_model: Path, session: Session, tmp_path: Path, qtbot: QtBot
) -> None:
    moved = tmp_path / "moved"
    own_model.rename(moved)
    pick(filled, 1, qtbot)
    click(qtbot, filled.details.chat)
    qtbot.waitUntil(lambda: filled.doing.base_dialog is not None)
    dialog = filled.doing.base_dialog
    assert dialog is not None
    dialog.path.set_path(str(tmp_path))
    click(qtbot, dialog.use)
    qtbot.waitUntil(dialog.problem.isVisible)
    dialog.path.set_path(str(moved))
    with qtbot.waitSignal(session.open_chat) as caught:
        click(qtbot, dialog.use)
    assert caught.args == [str(moved), [filled.details.facts and filled.details.facts.path]]


def test_several_are_compared_side_by_side(
    filled: LibraryPage, three: list[Path], own_model: Path, session: Session, qtbot: QtBot
) -> None:
    assert filled.details.compare.isHidden()
    filled.list.selectAll()
    with qtbot.waitSignal(session.open_chat) as caught:
        click(qtbot, filled.details.compare)
    assert caught.args is not None
    assert caught.args[0] == str(own_model)
    assert sorted(caught.args[1]) == sorted(map(str, three))


def test_what_nobody_hears_is_not_offered(
    filled: LibraryPage, three: list[Path], session: Session, qtbot: QtBot
) -> None:
    assert filled.details.mix.isHidden()
    heard: list[list[str]] = []
    session.open_mix.connect(heard.append)
    filled.list.selectAll()
    qtbot.waitUntil(filled.details.mix.isVisible)
    click(qtbot, filled.details.mix)
    assert sorted(heard[0]) == sorted(map(str, three))


def test_notes_and_tags_are_kept_when_left(
    filled: LibraryPage, three: list[Path], qtbot: QtBot
) -> None:
    filled.details.notes.setFocus()
    qtbot.keyClicks(filled.details.notes, "good at dates")
    filled.details.tags.setFocus()
    qtbot.waitUntil(lambda: adapters.facts(three[0]).notes == "good at dates")
    qtbot.keyClicks(filled.details.tags, "shop, json")
    qtbot.keyClick(filled.details.tags, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: adapters.facts(three[0]).tags == ("shop", "json"))


def test_rename(filled: LibraryPage, three: list[Path], qtbot: QtBot) -> None:
    def type_name(dialog: NameDialog) -> None:
        qtbot.keyClicks(dialog.edit, "Shop orders")
        qtbot.keyClick(dialog.edit, Qt.Key.Key_Return)

    timer = answer(NameDialog, type_name)
    click(qtbot, filled.details.rename)
    qtbot.waitUntil(lambda: filled.details.name.text() == "Shop orders")
    timer.stop()
    assert adapters.facts(three[0]).name == "Shop orders"


def test_the_lineage_leads_from_one_adapter_to_the_next(
    filled: LibraryPage, three: list[Path], home: Home, source: Path, qtbot: QtBot
) -> None:
    parent = adapters.facts(three[1])
    known = AdapterFacts(lineage=(adapters.origin(parent, weight=0.5),), created_at=1.0)
    adapters.add(home, source, "Mixture", known)
    adapters.record_made(home, three[1], "merged", home.models / "merged", grade="pass")
    filled.reload()
    qtbot.waitUntil(lambda: len(names(filled)) == 4)
    pick(filled, 1, qtbot)
    assert [link.accessibleName() for link in filled.details.lineage.links] == ["Mixture", "merged"]
    click(qtbot, filled.details.lineage.links[0])
    qtbot.waitUntil(lambda: filled.details.name.text() == "Mixture")
    assert filled.details.lineage.links[0].accessibleName().startswith("Pirate")


def test_a_new_run_starts_from_an_adapters_recipe(
    page: LibraryPage, home: Home, source: Path, session: Session, qtbot: QtBot
) -> None:
    recipe = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))
    run = runs.create(home, recipe)
    for step in (1, 2, 3):
        jobs.append(run, Step(step=step, metrics={"loss": 1.0 / step}, tokens=1, seconds=1.0))
    jobs.append(run, Sampled(step=3, prompt="Hello", text="Ahoy"))
    folder = adapters.add(home, source, "Pirate", AdapterFacts(run=run.name, train_loss=0.3))
    page.reload()
    qtbot.waitUntil(page.details.again.isVisible)
    assert page.details.losses.isVisible()
    assert page.details.losses.accessibleName() == "training loss from 1.000 to 0.333"
    assert page.details.sample.text() == "Hello\n→ Ahoy"
    with qtbot.waitSignal(session.recipe_wanted) as caught:
        click(qtbot, page.details.again)
    assert caught.args == [str(folder / "recipe.yaml")]
    with qtbot.waitSignal(session.open_run) as opened:
        click(qtbot, page.details.run)
    assert opened.args == [str(run)]
