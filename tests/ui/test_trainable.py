"""“What could I train on this card?”, and badges of many models between two frames."""

from __future__ import annotations

import time

import msgspec
import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.core.facts import Gpu, Machine
from studio.core.hub import HubModel
from studio.library import catalogue
from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.settings.page import SettingsPage
from studio.ui.pages.trainable import TrainableDialog
from studio.ui.session import Session
from studio.ui.widgets import Pill
from tests.ui.show import Show
from tests.ui.wizard import click, model_step

GIB = 1 << 30


@pytest.fixture
def dialog(session: Session, machine: Machine, show: Show, qtbot: QtBot) -> TrainableDialog:
    session.machine = machine
    made = TrainableDialog(session, None)
    show(made)
    qtbot.waitUntil(lambda: bool(made.lines))
    return made


def sizes(dialog: TrainableDialog) -> list[int]:
    return [line.model.parameters for line in dialog.lines]


class TestDialog:
    def test_the_largest_come_first_and_more_fits_by_qlora(
        self, dialog: TrainableDialog, qtbot: QtBot
    ) -> None:
        assert sizes(dialog) == sorted(sizes(dialog), reverse=True)
        most = {}
        for method in ("full", "lora", "qlora"):
            click(qtbot, dialog.method.button(method))
            most[method] = sizes(dialog)[0]
            assert dialog.lines[0].model.name in dialog._head.text()
        assert most["full"] < most["lora"] < most["qlora"]
        assert most["qlora"] > 3e9

    def test_a_larger_card_takes_larger_models(self, dialog: TrainableDialog, qtbot: QtBot) -> None:
        before = sizes(dialog)[0]
        dialog.chooser.box.setCurrentIndex(dialog.chooser.box.count() - 1)
        dialog.chooser.box.activated.emit(dialog.chooser.box.count() - 1)
        dialog.chooser.gigabytes.setFocus()
        dialog.chooser.gigabytes.selectAll()
        qtbot.keyClicks(dialog.chooser.gigabytes, "48")
        qtbot.waitUntil(lambda: sizes(dialog)[0] > 2 * before)

    def test_all_of_them_can_be_shown(self, dialog: TrainableDialog, qtbot: QtBot) -> None:
        few = len(dialog.lines)
        click(qtbot, dialog.more)
        assert len(dialog.lines) > 3 * few
        assert dialog.more.isHidden()

    def test_a_model_is_taken_into_a_new_run(
        self, dialog: TrainableDialog, session: Session, qtbot: QtBot
    ) -> None:
        line = dialog.lines[0]
        with qtbot.waitSignal(session.model_wanted) as heard:
            click(qtbot, line.button)
        assert heard.args == [line.model.id]
        assert not dialog.isVisible()

    def test_every_number_names_its_source(self, dialog: TrainableDialog) -> None:
        for line in dialog.lines:
            assert line.model.config_source in line.toolTip()


class TestWays:
    def test_the_model_step_and_the_settings_open_it(
        self, new_run: NewRunPage, session: Session, show: Show, qtbot: QtBot
    ) -> None:
        settings = SettingsPage(session)
        show(settings)
        for button in (model_step(new_run).trainable, settings.doctor.trainable):
            seen: list[bool] = []

            def close(seen: list[bool] = seen) -> None:
                dialog = QApplication.activeModalWidget()
                seen.append(isinstance(dialog, TrainableDialog))
                if dialog is not None:
                    dialog.close()

            QTimer.singleShot(100, close)
            button.click()
            assert seen == [True]

    def test_a_wanted_model_that_is_not_here_is_fetched(
        self, new_run: NewRunPage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        monkeypatch.setattr(model_step(new_run), "_get", asked.append)
        new_run.go(3)
        new_run.want_model("org/model")
        assert asked == ["org/model"]
        assert new_run.draft.step == 0


class TestBadges:
    def test_two_hundred_models_are_badged_without_a_long_turn(
        self, new_run: NewRunPage, machine: Machine
    ) -> None:
        cards, every = model_step(new_run).cards, catalogue.known()
        facts = [every[index % len(every)].facts() for index in range(200)]
        cards.show_models(
            [msgspec.structs.replace(f, path=f"/m/{i}", name=f"m{i}") for i, f in enumerate(facts)]
        )
        while cards.busy:
            QApplication.processEvents()
        large = Gpu(index=0, name="x", total_bytes=24 * GIB, used_bytes=0, free_bytes=24 * GIB)
        new_run.draft.know_machine(msgspec.structs.replace(machine, gpus=(large,)), 0)
        cards.refresh()
        turns: list[float] = []
        began = time.perf_counter()
        while cards.busy:
            turn = time.perf_counter()
            QApplication.processEvents()
            turns.append(time.perf_counter() - turn)
        assert len(turns) > 2  # in slices, with the loop in between
        assert time.perf_counter() - began < 3.0  # 0.1 s; the machine may be busy
        for path, card in cards.cards.items():
            assert "fit" in card.accessibleDescription() or "tight" in (
                card.accessibleDescription()
            ), path

    def test_badges_follow_the_card_that_is_planned_for(
        self, new_run: NewRunPage, qtbot: QtBot
    ) -> None:
        from studio.core import cards as facts

        cards = model_step(new_run).cards
        seven = next(m for m in catalogue.known() if m.id == "Qwen/Qwen2.5-7B-Instruct").facts()
        qtbot.waitUntil(lambda: new_run.draft.machine is not None)
        qtbot.wait(100)  # the empty list of this home is shown by then
        cards.show_models([seven])
        card = cards.cards[seven.path]
        qtbot.waitUntil(lambda: "LoRA won't fit" in card.accessibleDescription())
        new_run.draft.plan_for(facts.of_size(48))
        qtbot.waitUntil(lambda: "LoRA fits" in card.accessibleDescription())

    def test_results_of_the_hub_that_the_catalogue_knows_are_badged(
        self, new_run: NewRunPage
    ) -> None:
        hub = model_step(new_run).hub
        hub._found([HubModel(id="Qwen/Qwen2.5-7B-Instruct"), HubModel(id="nobody/knows")])
        said = [pill.text() for pill in hub.findChildren(Pill) if pill.text()]
        assert len([text for text in said if "fit" in text or "tight" in text]) == 3
