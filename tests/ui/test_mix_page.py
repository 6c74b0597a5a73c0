"""The Mix page by real clicks and keys; hearing and baking by real engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from studio.core.mixing import Ingredient, Mix
from studio.library import adapters, mixing, models
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.main_window import MainWindow
from studio.ui.pages.chat.mixer import Mixer
from studio.ui.pages.chat.sides import Sides
from studio.ui.pages.library.export.scale import Scale
from studio.ui.pages.mix import MixPage
from studio.ui.session import Session
from studio.ui.widgets import IconButton
from tests.support.adapter_files import write_adapter
from tests.support.live_session import SOON
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def three(home: Home, own_model: Path, tmp_path: Path) -> list[str]:
    """Two of the tiny model, one of another base."""
    digest = models.inspect(own_model).digest
    found = []
    for at, name in enumerate(("Orders", "Pirate", "Stranger")):
        source = write_adapter(tmp_path / name, size=0.3 + 0.2 * at)
        known = AdapterFacts(base=str(own_model), base_digest="another" if at == 2 else digest)
        found.append(str(adapters.add(home, source, name, known)))
    return found


@pytest.fixture
def page(session: Session, show: Show) -> MixPage:
    made = MixPage(session)
    made.resize(1056, 1400)
    show(made)
    return made


@pytest.fixture
def mixed(page: MixPage, three: list[str], qtbot: QtBot) -> MixPage:
    """The page with the two that fit."""
    page.open_mix(three[:2])
    qtbot.waitUntil(lambda: page.baking.button.isEnabled())
    return page


@pytest.fixture
def living(mixed: MixPage, engines: Session) -> MixPage:
    """The page with engines behind it."""
    return mixed


def click(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON)
    qtbot.mouseClick(button, LEFT)


def test_nothing_to_mix_leads_to_the_library(page: MixPage, session: Session, qtbot: QtBot) -> None:
    with qtbot.waitSignal(session.open_page) as caught:
        click(qtbot, page.empty.button)
    assert caught.args == ["library"]


def test_two_adapters_in_equal_parts(mixed: MixPage, qtbot: QtBot) -> None:
    assert [one.weight() for one in mixed.portions.rows] == [0.5, 0.5]
    assert mixed.baking.name.text() == "Orders + Pirate"
    qtbot.waitUntil(lambda: len(mixed.picture.bar.parts()) == 2)
    assert mixed.picture.bar.parts()[0][0] < mixed.picture.bar.parts()[1][0]
    assert "the same thing" in mixed.picture.verdict.text()
    assert mixed.portions.more.count() == 1, "nothing else fits this base"


def test_a_slider_a_number_and_keys_say_the_same(mixed: MixPage, qtbot: QtBot) -> None:
    one, other = mixed.portions.rows
    one.slider.setFocus()
    qtbot.keyClick(one.slider, Qt.Key.Key_Right)
    assert one.weight() == 0.55
    other.number.selectAll()
    qtbot.keyClicks(other.number, "-0.75")
    assert other.slider.value() == -75
    assert [each.weight for each in mixed.recipe().adapters] == [0.55, -0.75]
    assert "(taken away)" in mixed.picture.shares.text()
    other.number.selectAll()
    qtbot.keyClicks(other.number, "half")
    qtbot.waitUntil(lambda: not mixed.baking.button.isEnabled())
    assert other.problems.isVisible()


def test_a_method_shows_the_settings_that_count(mixed: MixPage, qtbot: QtBot) -> None:
    fields = mixed.methods.fields
    assert not any(field.isVisible() for field in fields.values())
    qtbot.mouseClick(mixed.methods.cards["dare_ties"], LEFT)
    assert [name for name, field in fields.items() if field.isVisible()] == ["density", "seed"]
    qtbot.mouseClick(mixed.methods.whole, LEFT)
    assert mixed.recipe().method == "dare_ties_svd"
    assert fields["rank"].isVisible()
    mixed.methods.density.selectAll()
    qtbot.keyClicks(mixed.methods.density, "0")
    qtbot.waitUntil(lambda: bool(fields["density"].problems()))
    assert not mixed.baking.button.isEnabled()
    qtbot.mouseClick(mixed.methods.cards["cat"], LEFT)
    qtbot.waitUntil(lambda: mixed.baking.button.isEnabled())


def test_a_problem_stands_beside_the_adapter_it_is_of(
    page: MixPage, three: list[str], qtbot: QtBot
) -> None:
    page.open_mix(three)
    qtbot.waitUntil(lambda: len(page.portions.rows) == 3)
    stranger = page.portions.rows[2]
    qtbot.waitUntil(stranger.problems.isVisible)
    assert not page.portions.rows[0].problems.isVisible()
    assert not page.trying.ask.isEnabled()
    click(qtbot, stranger.remove)
    qtbot.waitUntil(lambda: page.baking.button.isEnabled())
    assert len(page.portions.rows) == 2


def test_an_adapter_that_is_deleted_leaves_the_mix(
    mixed: MixPage, home: Home, session: Session, three: list[str], qtbot: QtBot
) -> None:
    adapters.delete(home, Path(three[1]))
    session.library_changed.emit()
    qtbot.waitUntil(lambda: len(mixed.portions.rows) == 1)


def test_the_window_opens_it_from_the_library(
    session: Session, three: list[str], show: Show, qtbot: QtBot
) -> None:
    window = MainWindow(session)
    show(window)
    session.open_mix.emit(three[:1])
    assert window.current() == "mix"
    shown = window.page("mix")
    assert isinstance(shown, MixPage)
    qtbot.waitUntil(lambda: len(shown.portions.rows) == 1)
    assert window._nav["library"].isChecked()


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_a_column_of_chat_with_a_mix_has_its_sliders(
    session: Session, home: Home, three: list[str], show: Show, qtbot: QtBot
) -> None:
    told = tuple(Ingredient(adapter=each, weight=0.5, name=each[-6:]) for each in three[:2])
    draft = str(mixing.draft(home, Mix(adapters=told)))
    sides = Sides()
    sides.set_sides(["", draft])
    show(sides)
    mixer = Mixer(session, sides, sides)
    (button,) = [
        each
        for each in sides.findChildren(IconButton)
        if each.accessibleName() == "Change the mix of column 2"
    ]
    click(qtbot, button)
    popup = mixer.popup
    assert popup is not None
    qtbot.waitUntil(lambda: len(popup.rows) == 2)
    with qtbot.waitSignal(sides.sides_chosen):
        popup.rows[0].slider.setValue(120)
    assert sides.sides()[0] == ""
    changed = mixing.read(Path(sides.sides()[1]))
    assert [one.weight for one in changed.adapters] == [1.2, 0.5]
    popup.close()


def test_the_next_answer_uses_the_sliders_and_the_bake_is_what_was_heard(
    living: MixPage, home: Home, session: Session, qtbot: QtBot
) -> None:
    """One engine holds the base throughout."""
    page, trying = living, living.trying
    with qtbot.waitSignal(trying.talk.answered, timeout=SOON):
        click(qtbot, trying.ask)
    first = trying.answer.text()
    engine = [job.name for job in home.jobs.iterdir()]
    page.portions.rows[0].slider.setValue(-100)
    with qtbot.waitSignal(trying.talk.answered, timeout=SOON):
        page.portions.rows[1].slider.setValue(200)
    assert trying.answer.text() != first
    assert [job.name for job in home.jobs.iterdir()] == engine
    with qtbot.waitSignal(session.open_chat, timeout=SOON) as caught:
        click(qtbot, trying.chat)
    assert mixing.is_draft(Path(caught.args[1][0]))
    with qtbot.waitSignal(session.library_changed, timeout=SOON):
        click(qtbot, page.baking.button)
    assert page.baking.pill.text() == "Passed"
    pictures = page.baking.findChildren(Scale)
    assert [one.accessibleName() for one in pictures] == ["Same likeliest token", "KL divergence"]
    assert all("passed" in one.accessibleDescription() for one in pictures)
    assert "exactly the weighted sum" in page.baking.told.text()
    baked = next(one for one in adapters.listing(home) if one.name == "Orders + Pirate")
    assert [one.weight for one in mixing.read(Path(baked.path)).adapters] == [-1.0, 2.0]
    trying.leave()
    qtbot.waitUntil(lambda: not any(home.jobs.iterdir()), timeout=SOON)
