"""A dataset of the hub, chosen by its name: terms, progress, cancelling, and its rows."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow
import pyarrow.parquet
import pytest
from pytestqt.qtbot import QtBot

from studio.ui.pages.new_run import NewRunPage
from studio.ui.pages.new_run.dataset_step import DatasetStep
from tests.fakes.hub import FakeHub, serving
from tests.ui.wizard import SLOW, click, dataset_step

NAME = "org/answers"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one dataset of forty rows."""
    rows = [{"prompt": f"Say {n}.", "completion": f"It is {n}.", "pad": "x" * n} for n in range(40)]
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        served.add_dataset(NAME, {"data/train-00000-of-00001.parquet": file.getvalue()})
        yield served


def choose(page: NewRunPage, qtbot: QtBot) -> DatasetStep:
    """Type the dataset's name and press Get."""
    page.go(1)
    step = dataset_step(page)
    step.chooser.hub_id.setFocus()
    qtbot.keyClicks(step.chooser.hub_id, NAME)
    click(qtbot, step.chooser.get)
    return step


def test_a_download_shows_how_far_it_is_and_can_be_given_up(
    chosen: NewRunPage, hub: FakeHub, qtbot: QtBot
) -> None:
    hub.stall_after = 200
    step = choose(chosen, qtbot)
    qtbot.waitUntil(lambda: NAME in step.reading._doing.text(), timeout=SLOW)
    assert len(hub.asked("parquet")) <= 1
    click(qtbot, step.reading.cancel)
    assert not step.reading.isVisible()
    assert "cancelled" in step.message.accessibleName()
    hub.stall_after = 0
    hub.going_on.set()
    click(qtbot, step.message.button)
    qtbot.waitUntil(lambda: step.cards[0]._rows.text() == "40 rows", timeout=SLOW)
    assert step.cards[0]._name.text() == NAME
    qtbot.waitUntil(lambda: "It is 0." in step.lens.text.toPlainText(), timeout=SLOW)
    assert not step.message.isVisible()


def test_terms_to_accept_are_said(chosen: NewRunPage, hub: FakeHub, qtbot: QtBot) -> None:
    hub.datasets[NAME].gated = True
    step = choose(chosen, qtbot)
    qtbot.waitUntil(step.message.isVisible, timeout=SLOW)
    assert f"{hub.url}/datasets/{NAME}" in step.message.accessibleName()
    assert any(problem.field == "dataset" for problem in chosen.draft.blocking)
