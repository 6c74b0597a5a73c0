"""The cards in resources: each has a source, and is found by what people call it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from studio.core import cards
from studio.core.cards import GIB, KnownCard
from studio.core.facts import Machine
from studio.library.cards import known


@pytest.mark.parametrize("card", known(), ids=lambda card: card.name)
def test_no_card_without_a_source(card: KnownCard) -> None:
    source = urlsplit(card.source)
    assert source.scheme == "https"
    assert "." in source.netloc
    assert len(source.path) > 1
    assert (card.compute_capability is not None) == (card.vendor == "nvidia")
    assert card.architecture
    assert card.gigabytes_per_second is None or 100 <= card.gigabytes_per_second < 5000


def test_there_are_cards_of_every_size_and_maker() -> None:
    sizes = [card.gigabytes for card in known()]
    assert sizes == sorted(sizes)
    assert {6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 80, 96} <= set(sizes)
    assert {card.vendor for card in known()} == {"nvidia", "amd", "intel", "apple"}
    assert len({card.name for card in known()}) == len(known()) >= 60


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("4060 ti 16", "GeForce RTX 4060 Ti 16 GB"),
        ("RTX4060Ti 8GB", "GeForce RTX 4060 Ti 8 GB"),
        ("4090", "GeForce RTX 4090"),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
        ("4090 laptop", "GeForce RTX 4090 Laptop"),
        ("3060", "GeForce RTX 3060 12 GB"),
        ("2060 12gb", "GeForce RTX 2060 12 GB"),
        ("2060", "GeForce RTX 2060"),
        ("4070 super", "GeForce RTX 4070 Super"),
        ("a100 80", "A100 PCIe 80 GB"),
        ("tesla t4", "T4"),
        ("7900 xtx", "Radeon RX 7900 XTX"),
        ("b580", "Arc B580"),
        ("m4 max", "Apple M4 Max 36 GB"),
        ("rtx pro 6000", "RTX PRO 6000 Blackwell"),
        ("6000 ada", "RTX 6000 Ada"),
    ],
)
def test_a_card_is_found_by_what_people_call_it(text: str, name: str) -> None:
    found = cards.find(known(), text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", ["", "  ", "voodoo 2", "4090 48", "GB"])
def test_what_is_no_card_is_none(text: str) -> None:
    assert cards.find(known(), text) is None


def test_a_machine_with_a_card_keeps_room_for_the_desktop() -> None:
    card = cards.find(known(), "4090")
    assert card is not None
    planned = cards.machine_with(card)
    assert planned.gpu is not None
    assert (planned.gpu.total_bytes, planned.gpu.compute_capability) == (24 * GIB, (8, 9))
    assert planned.reserve_bytes == cards.DESKTOP_BYTES
    mine = cards.machine_with(card, Machine(reserve_bytes=2 * GIB, ram_free_bytes=9))
    assert (mine.reserve_bytes, mine.ram_free_bytes) == (2 * GIB, 9)


def test_bf16_by_maker() -> None:
    def bf16(text: str) -> bool:
        card = cards.find(known(), text)
        assert card is not None
        return card.bf16

    assert [bf16(each) for each in ("2080 ti", "3090", "6700 xt", "7900 xtx", "a770")] == [
        False, True, False, True, True,
    ]  # fmt: skip
    assert cards.of_size(8).memory_bytes == 8 * GIB
