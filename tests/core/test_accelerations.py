"""Which accelerations come in where, and switching them off by name."""

from __future__ import annotations

import pytest

from studio.core.accelerations import ALL, COMPILER, NAMES, chosen, names_in, why_off
from studio.core.errors import StudioError


def test_a_processor_gets_what_needs_no_card() -> None:
    ours = ("adapter", "head", "rows", "layers")
    assert chosen((), ("flash_attn", "liger_kernel"), None) == ours
    assert chosen((), (COMPILER,), None) == (*ours, "pieces")


def test_a_card_gets_what_it_can_do_and_what_is_installed() -> None:
    everything = ("flash_attn", "liger_kernel")
    assert chosen((), everything, (8, 6)) == (
        "adapter",
        "head",
        "flash",
        "liger",
        "tf32",
        "segments",
    )
    assert chosen((), (), (9, 0)) == ("adapter", "head", "tf32", "segments")
    assert chosen((), everything, (7, 5)) == ("adapter", "head", "liger", "segments")


def test_what_is_unusual_comes_in_where_it_is_asked_for() -> None:
    assert "regions" not in chosen((), ("triton",), (8, 0))
    assert "regions" in chosen((), ("triton",), (8, 0), also=("regions",))
    assert "regions" not in chosen(("regions",), ("triton",), (8, 0), also=("regions",))
    assert "regions" not in chosen((), (), (8, 0), also=("regions",))


def test_each_has_one_switch_and_says_why_it_is_off() -> None:
    for one in ALL:
        assert why_off(one, (one.name,), (), (9, 0)) == "switched off"
    by_name = {one.name: one for one in ALL}
    assert why_off(by_name["flash"], (), (), (8, 0)) == "flash_attn isn't installed"
    assert why_off(by_name["tf32"], (), (), (7, 5)) == "the card is too old"
    assert why_off(by_name["rows"], (), (), (8, 0)) == "for a processor"
    assert why_off(by_name["liger"], (), ("liger_kernel",), None) == "for a card"


def test_names_are_read_from_a_list_and_unknown_ones_named() -> None:
    assert names_in(" rows, head ,") == ("rows", "head")
    assert names_in("") == ()
    with pytest.raises(StudioError, match="fast"):
        names_in("rows,fast")
    assert len(set(NAMES)) == len(ALL)
