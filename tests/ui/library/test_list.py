"""What the Library lists: the latest first, found by words, tags and in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from studio.library import adapters
from studio.library.adapters import AdapterFacts, search
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.session import Session
from studio.ui.tables.adapters import AdaptersModel, about, method, modules
from tests.ui.library.hands import click, names, pick

pytestmark = pytest.mark.gui


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
