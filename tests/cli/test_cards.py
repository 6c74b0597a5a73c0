"""cards, trainable: planning for a card, by processes."""

from __future__ import annotations

from studio.library.folders import Home
from tests.support.command_line import ask, call


def test_cards_are_listed_this_machines_first(home: Home) -> None:
    said = ask(home, "cards")
    assert said.code == 0
    sizes = [card["gigabytes"] for card in said.result["known"]]
    assert sizes == sorted(sizes)
    assert (min(sizes), max(sizes)) <= (6, 96)
    assert all(card["source"].startswith("http") for card in said.result["known"])
    assert isinstance(said.result["here"], list)
    people = call(home, "cards")
    assert people.out.splitlines()[0].startswith(("This machine", " "))
    assert "GeForce RTX 3060" in people.out


def test_what_a_card_can_train_grows_with_the_method_and_the_card(home: Home) -> None:
    small, large = (ask(home, "trainable", "--gpu-gb", size).result for size in ("8", "24"))
    assert list(small) == ["full", "lora", "qlora"]
    most = {name: max(one["parameters"] for one in small[name]) for name in small}
    assert most["full"] < most["lora"] < most["qlora"]
    for name, offers in small.items():
        assert all(one["needed_bytes"] <= one["available_bytes"] for one in offers)
        assert max(one["parameters"] for one in large[name]) > most[name]
    [method] = ask(home, "trainable", "--card", "3060 12", "--method", "QLoRA").result
    assert method == "qlora"


def test_an_offer_is_what_an_estimate_says_too(home: Home) -> None:
    offer = ask(home, "trainable", "--gpu-gb", "12", "--method", "qlora").result["qlora"][0]
    words = ["--method", "qlora", "--max-length", "1024", "--gpu-gb", "12"]
    one = ask(home, "estimate", "--model", offer["model"], *words, "--batch", "1")
    assert one.code == 0, one.lines[-1]
    assert one.result["expected_bytes"] <= offer["expected_bytes"] * 1.3


def test_all_mistakes_are_named_at_once(home: Home) -> None:
    said = ask(home, "trainable", "--gpu-gb", "none", "--method", "x")
    assert said.code == 2
    assert {problem["field"] for problem in said.error["problems"]} == {"--gpu-gb", "--method"}
    people = call(home, "trainable", "--gpu-gb", "8", "--all", "--method", "full")
    assert "full fine-tuning" in people.out
    assert len(people.out.splitlines()) > 8
