"""Merging from the Library by a real engine, and passports of before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from studio.core.passport import Check, Passport
from studio.library import adapters, models
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.pages.library.export.dialog import ExportDialog
from studio.ui.session import Session
from studio.ui.widgets import Pill
from tests.support.live_session import SOON
from tests.ui.library.hands import click, pick

pytestmark = pytest.mark.gui


@pytest.fixture
def merging(filled: LibraryPage, engines: Session) -> LibraryPage:
    """The page with engines behind it."""
    return filled


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
