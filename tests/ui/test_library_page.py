"""The Library page by real clicks, keys and drops; merging by a real engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.core.events import Sampled, Step
from studio.core.passport import Check, Passport
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import adapters, jobs, models, runs, trash
from studio.library.adapters import AdapterFacts, search
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.pages.library.export.dialog import ExportDialog
from studio.ui.session import Session
from studio.ui.tables.adapters import AdaptersModel, about, method, modules
from studio.ui.widgets import ConfirmDialog, NameDialog, Pill
from tests.support import gguf_adapter
from tests.support.adapter_files import write_adapter
from tests.support.live_session import SOON, live
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "made elsewhere", size=0.5)


@pytest.fixture
def three(home: Home, own_model: Path, source: Path) -> list[Path]:
    """Three adapters of the tiny model, the first the latest."""
    rows = [
        ("Orders", "qlora", "sample"),
        ("Pirate", "lora", "pirates.jsonl"),
        ("Calm", "lora", ""),
    ]
    return [
        adapters.add(
            home,
            source,
            name,
            AdapterFacts(
                base=str(own_model), method=kind, dataset=data, eval_loss=0.125 * (n + 1),
                created_at=2_000_000_000.0 - n,
            ),
        )
        for n, (name, kind, data) in enumerate(rows)
    ]  # fmt: skip


@pytest.fixture
def page(session: Session, show: Show) -> LibraryPage:
    made = LibraryPage(session)
    made.resize(1056, 800)
    show(made)
    return made


@pytest.fixture
def filled(three: list[Path], page: LibraryPage, qtbot: QtBot) -> LibraryPage:
    qtbot.waitUntil(lambda: page.model.total == 3)
    return page


@pytest.fixture
def merging(
    filled: LibraryPage, session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibraryPage]:
    """The page with engines behind it."""
    with live(session, qtbot, monkeypatch):
        yield filled
        filled.hide()


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON)
    qtbot.mouseClick(button, LEFT)


def pick(page: LibraryPage, row: int, qtbot: QtBot) -> None:
    place = page.list.visualRect(page.model.index(row, 0)).center()
    qtbot.mouseClick(page.list.viewport(), LEFT, pos=place)


def names(page: LibraryPage) -> list[str]:
    return [str(page.model.index(row, 0).data()) for row in range(page.model.rowCount())]


def drop_on(page: LibraryPage, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(300, 300), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    page.dropEvent(event)


def answer(kind: type[Any], act: Callable[[Any], None]) -> QTimer:
    """Do this to the first dialog of a kind as soon as it is in view."""
    timer = QTimer()

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, kind):
            timer.stop()
            act(dialog)

    timer.timeout.connect(look)
    timer.start(10)
    return timer


def test_an_empty_library_leads_to_a_run(page: LibraryPage, session: Session, qtbot: QtBot) -> None:
    with qtbot.waitSignal(session.open_page) as caught:
        click(qtbot, page.empty.button)
    assert caught.args == ["new_run"]
    assert not page.details.isVisible()


def test_the_list_shows_the_latest_first_with_details(filled: LibraryPage, qtbot: QtBot) -> None:
    assert names(filled) == ["Orders", "Pirate", "Calm"]
    pick(filled, 1, qtbot)
    details = filled.details
    assert details.name.text() == "Pirate"
    assert details.value("Base") == "tiny-llama"
    assert details.value("Method") == "LoRA"
    assert details.value("Rank") == "4"
    assert details.value("Dataset") == "pirates.jsonl"
    assert details.loss == "Held out 0.250"
    assert details.value("Size").endswith("KB")


def test_search_finds_by_every_word(filled: LibraryPage, qtbot: QtBot) -> None:
    qtbot.keyClicks(filled.filters.search, "lora PIR")
    assert names(filled) == ["Pirate"]
    assert filled.details.name.text() == "Pirate"
    qtbot.keyClicks(filled.filters.search, "x")
    assert names(filled) == []
    assert filled.none_found.isVisible()
    assert not filled.details.isVisible()
    filled.filters.search.clear()
    assert len(names(filled)) == 3


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


def test_filters_and_orders(
    filled: LibraryPage, three: list[Path], home: Home, qtbot: QtBot
) -> None:
    adapters.annotate(home, three[2], tags=["shop"])
    adapters.annotate(home, three[1], tags=["shop", "fun"])
    filled.reload()
    qtbot.waitUntil(filled.filters.tag.isVisible)
    filled.filters.sort.set_value("name")
    filled.filters.sort.chosen.emit("name")
    assert names(filled) == ["Calm", "Orders", "Pirate"]
    filled.filters.tag.set_value("shop")
    filled.filters.tag.chosen.emit("shop")
    assert names(filled) == ["Calm", "Pirate"]
    qtbot.keyClicks(filled.filters.search, "fun")
    assert names(filled) == ["Pirate"]
    assert "1 of 3" in filled.heading.subtitle.text()


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


def test_the_trash_gives_back_and_deletes_for_good(
    filled: LibraryPage, three: list[Path], home: Home, qtbot: QtBot
) -> None:
    filled.list.selectAll()
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(lambda: len(adapters.deleted(home)) == 3)
    click(qtbot, filled.trash)
    dialog = filled.doing.trash_dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.list.count() == 3)
    click(qtbot, dialog.back)
    qtbot.waitUntil(lambda: dialog.list.count() == 2)
    dialog.list.selectAll()
    timer = answer(ConfirmDialog, lambda asked: asked.buttons["yes"].click())
    click(qtbot, dialog.erase)
    qtbot.waitUntil(dialog.empty.isVisible)
    timer.stop()
    assert trash.listing(home) == []
    assert len(adapters.listing(home)) == 1
    dialog.accept()


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


def test_rename(filled: LibraryPage, three: list[Path], qtbot: QtBot) -> None:
    def type_name(dialog: NameDialog) -> None:
        qtbot.keyClicks(dialog.edit, "Shop orders")
        qtbot.keyClick(dialog.edit, Qt.Key.Key_Return)

    timer = answer(NameDialog, type_name)
    click(qtbot, filled.details.rename)
    qtbot.waitUntil(lambda: filled.details.name.text() == "Shop orders")
    timer.stop()
    assert adapters.facts(three[0]).name == "Shop orders"


def test_delete_and_undo(filled: LibraryPage, three: list[Path], home: Home, qtbot: QtBot) -> None:
    pick(filled, 1, qtbot)
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(lambda: names(filled) == ["Orders", "Calm"])
    assert len(trash.listing(home)) == 1
    click(qtbot, filled.message.button)
    qtbot.waitUntil(lambda: len(names(filled)) == 3)
    assert filled.details.name.text() == "Pirate"
    assert three[1].is_dir()
    assert trash.listing(home) == []


def test_the_delete_key_deletes_too(filled: LibraryPage, qtbot: QtBot) -> None:
    filled.list.setFocus()
    qtbot.keyClick(filled.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(filled) == ["Pirate", "Calm"])


def choose_kind(page: LibraryPage, which: int, qtbot: QtBot) -> None:
    click(qtbot, page.add)
    menu = page.import_menu
    assert menu is not None
    menu.actions()[which].trigger()
    menu.hide()


@pytest.mark.qt_log_ignore("does not support grabbing the keyboard")
def test_import_by_drop_and_by_dialog(
    page: LibraryPage, source: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_on(page, source)
    qtbot.waitUntil(lambda: names(page) == ["made elsewhere"])
    assert page.details.pill.text() == "imported"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(source))
    choose_kind(page, 0, qtbot)
    qtbot.waitUntil(lambda: len(names(page)) == 2)
    archive = shutil.make_archive(str(source), "zip", source)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([archive], ""))
    choose_kind(page, 1, qtbot)
    qtbot.waitUntil(lambda: len(names(page)) == 3)


def test_a_gguf_adapter_asks_for_the_base_that_it_is_read_by(
    page: LibraryPage, source: Path, tiny_model: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    drop_on(page, gguf_adapter.write(source, tiny_model, tmp_path / "made.gguf"))
    qtbot.waitUntil(lambda: page.doing.base_dialog is not None)
    dialog = page.doing.base_dialog
    assert dialog is not None
    dialog.path.set_path(str(tiny_model))
    click(qtbot, dialog.use)
    qtbot.waitUntil(lambda: names(page) == ["made"])
    assert page.details.value("Base") == "tiny-llama"


def test_what_is_no_adapter_is_refused_in_the_page(
    page: LibraryPage, tiny_model: Path, qtbot: QtBot
) -> None:
    drop_on(page, tiny_model)
    qtbot.waitUntil(page.message.isVisible)
    assert page.message.title() == "A model, not an adapter"
    assert names(page) == []


def test_a_broken_adapter_can_only_be_deleted(
    filled: LibraryPage, three: list[Path], qtbot: QtBot
) -> None:
    (three[0] / "adapter_model.safetensors").unlink()
    filled.reload()
    qtbot.waitUntil(filled.details.problem.isVisible)
    assert not filled.details.chat.isEnabled()
    assert not filled.details.merge.isEnabled()
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(lambda: len(names(filled)) == 2)


def opened_merge(page: LibraryPage, qtbot: QtBot) -> ExportDialog:
    click(qtbot, page.details.merge)
    qtbot.waitUntil(lambda: page.exports.dialog is not None and page.exports.dialog.isVisible())
    assert page.exports.dialog is not None
    return page.exports.dialog


def test_merge_and_its_passport(
    merging: LibraryPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    dialog = opened_merge(merging, qtbot)
    assert (dialog.windowTitle(), dialog.question.cards) == ("Merge", {})
    target = Path(dialog.question.out.path())
    assert target == home.models / "Orders-merged"
    with qtbot.waitSignal(session.models_changed, timeout=SOON):
        click(qtbot, dialog.start)
    outcome = dialog.outcome
    qtbot.waitUntil(outcome.passport.isVisible)
    assert outcome.passport.stamp.text() == "Passed"
    assert "without" not in outcome.passport.no_loss
    assert "no rows that the adapter's run held out" in outcome.passport.no_loss
    qtbot.waitUntil(lambda: outcome.passport.examples is not None, timeout=SOON)
    assert models.usable(target)
    assert json.loads((target / "passport.json").read_text("utf-8"))["grade"] == "pass"
    with qtbot.waitSignal(session.open_chat) as caught:
        click(qtbot, outcome.talk)
    assert caught.args == [str(target), []]
    qtbot.waitUntil(lambda: merging.details.lineage.links != [], timeout=SOON)
    click(qtbot, merging.details.lineage.links[0])
    qtbot.waitUntil(lambda: merging.exports.history is not None)
    history = merging.exports.history
    assert history is not None
    qtbot.waitUntil(lambda: history.list.count() == 1)
    assert history.outcome.place.text() == str(target)
    assert history.outcome.passport.stamp.text() == "Passed"
    history.accept()
    qtbot.waitUntil(lambda: not any(home.jobs.iterdir()), timeout=SOON)


def test_a_qlora_adapter_has_two_bases(
    merging: LibraryPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    dialog = opened_merge(merging, qtbot)
    assert dialog.question.onto.isVisible()
    dialog.question.onto.set_value("trained")
    dialog.question.check.set_value("none")
    with qtbot.waitSignal(session.models_changed, timeout=SOON):
        click(qtbot, dialog.start)
    qtbot.waitUntil(dialog.outcome.isVisible)
    assert "Built on the 4-bit base" in dialog.outcome.facts_line.text()
    assert dialog.outcome.passport.stamp.text() == "Not checked"
    dialog.accept()
    qtbot.waitUntil(lambda: not any(home.jobs.iterdir()), timeout=SOON)
    pick(merging, 1, qtbot)
    assert not opened_merge(merging, qtbot).question.onto.isVisible()


def test_a_merge_is_cancelled_and_leaves_nothing(
    merging: LibraryPage, home: Home, qtbot: QtBot
) -> None:
    dialog = opened_merge(merging, qtbot)
    target = Path(dialog.question.out.path())
    click(qtbot, dialog.start)
    click(qtbot, dialog.stop)
    qtbot.waitUntil(lambda: merging.exports.dialog is None, timeout=SOON)
    qtbot.waitUntil(lambda: not any(home.jobs.iterdir()), timeout=SOON)
    assert not target.exists()


def test_a_target_that_wont_do_is_said_in_the_dialog(
    filled: LibraryPage, own_model: Path, qtbot: QtBot
) -> None:
    dialog = opened_merge(filled, qtbot)
    edit = dialog.question.out.edit
    edit.clear()
    qtbot.keyClicks(edit, str(own_model))
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(dialog.problem.isVisible)
    assert dialog.start.isVisible()
    inside = dialog.layout()
    assert inside is not None
    assert dialog.height() >= inside.totalHeightForWidth(dialog.width())
    assert (own_model / "config.json").is_file()
    dialog.reject()


def test_a_failed_export_of_before_is_marked_and_opens(
    filled: LibraryPage, three: list[Path], home: Home, tmp_path: Path, qtbot: QtBot
) -> None:
    """Made by an older studio, which kept no record of it but the adapter's own history."""
    made = tmp_path / "made"
    made.mkdir()
    checked = Passport(
        grade="fail", runtime="llama.cpp", precision="4-bit", dtype="bfloat16", top1=0.3,
        agreement=0.3, kl=2.0, kl_max=3.0, kl_without_adapter=1.9, positions=1200, prompts=16,
        cause="lost", checks=(Check(name="kl", passed=False, measured=2.0, wanted=0.4),),
    )  # fmt: skip
    (made / "passport.json").write_bytes(msgspec.json.encode(checked))
    adapters.record_made(home, three[0], "exported", made, format="gguf", grade="fail")
    filled.reload()
    qtbot.waitUntil(lambda: filled.details.lineage.links != [])
    assert "Failed" in [pill.text() for pill in filled.details.lineage.findChildren(Pill)]
    click(qtbot, filled.details.lineage.links[0])
    qtbot.waitUntil(lambda: filled.exports.history is not None)
    history = filled.exports.history
    assert history is not None
    qtbot.waitUntil(lambda: history.list.count() == 1)
    spoken = history.list.item(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.startswith("GGUF: Failed")
    assert history.outcome.passport.reasons == ["Training lost"]
    qtbot.waitUntil(history.outcome.open_button.isVisible)
    assert not history.outcome.talk.isVisible()
    history.accept()
    shutil.rmtree(made)
    click(qtbot, filled.details.lineage.links[0])
    qtbot.waitUntil(
        lambda: filled.exports.history is not None and filled.exports.history != history
    )
    again = filled.exports.history
    assert again is not None
    qtbot.waitUntil(again.outcome.gone.isVisible)
    assert again.outcome.passport.stamp.text() == "Failed"
    assert not again.outcome.push.isVisible()
    again.accept()


def test_words_of_an_adapter() -> None:
    facts = AdapterFacts(
        name="Orders", base="/models/tiny", method="qlora", rank=8, dataset="/x/rows.jsonl", bytes=5
    )
    assert method(facts) == "QLoRA r8"
    assert about(facts).startswith("tiny  \N{MIDDLE DOT}  rows.jsonl")
    sample = AdapterFacts(dataset="sample", targets=("model.0.q_proj", "model.1.q_proj", "up"))
    assert "sample dataset" in about(sample)
    assert modules(sample) == "q_proj, up"
    assert search.found([facts], "qlora r8 tiny")
    assert not search.found([facts], "qlora huge")


def test_the_model_keeps_its_promises_to_qt(
    three: list[Path], home: Home, qtmodeltester: Any
) -> None:
    model = AdaptersModel()
    model.set_rows(adapters.listing(home))
    qtmodeltester.check(model)


def test_an_error_of_the_disk_is_a_message(
    filled: LibraryPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StudioError("Can't be deleted", "It is in use.", "Close what uses it.")

    monkeypatch.setattr(trash, "put", refuse)
    click(qtbot, filled.details.delete)
    qtbot.waitUntil(filled.message.isVisible)
    assert filled.message.title() == "Can't be deleted"
    assert len(names(filled)) == 3
