"""cards, trainable: which cards there are, and what could be trained on one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from studio.cli import wishes
from studio.cli.console import Console, size, table
from studio.client import actions
from studio.core.cards import KnownCard
from studio.core.catalogue import OFFER_LENGTH, Offer, largest
from studio.core.facts import Gpu, Machine
from studio.core.problem import Problem
from studio.core.recipe import Method
from studio.library import cards, catalogue
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

_METHODS: tuple[Method, ...] = get_args(Method)
_SHOWN = 5


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parsers of cards and trainable."""
    about = "List this machine's cards, and the known ones that --card plans for."
    one = parsers.add_parser(
        "cards", parents=[shared], help="list cards to plan for", description=about
    )
    one.set_defaults(run=_cards)
    about = (
        "Which models of the catalogue could be trained on this card, or on one that you think of: "
        f"reckoned for rows of {OFFER_LENGTH} tokens. A model is listed only where it surely fits."
    )
    two = parsers.add_parser(
        "trainable", parents=[shared], help="what could be trained on a card", description=about
    )
    wishes.add_card(two)
    two.add_argument("--method", metavar="M", help="full, lora or qlora alone")
    two.add_argument("--all", action="store_true", help=f"every model, not the {_SHOWN} largest")
    two.set_defaults(run=_trainable, homeless=_planned)


def _cards(home: Home, options: argparse.Namespace, console: Console) -> int:
    machine, known = actions.machine_now(home), cards.known()
    result = {
        "here": msgspec.to_builtins(machine.gpus),
        "used": machine.card if machine.gpus else None,
        "known": [msgspec.to_builtins(card) | {"bytes": card.memory_bytes} for card in known],
    }
    console.result(result, [*_here(machine), "", *_known(known)])
    return 0


def _here(machine: Machine) -> list[str]:
    if not machine.gpus:
        return ["This machine has no graphics card that can be trained on; it computes on its CPU."]
    marked = [_of_gpu(gpu, place == machine.card) for place, gpu in enumerate(machine.gpus)]
    return table(marked, ("", "This machine's", "Memory", "Free", "Driver"))


def _of_gpu(gpu: Gpu, used: bool) -> tuple[str, ...]:
    mark = "*" if used else ""
    return mark, gpu.name, size(gpu.total_bytes), size(gpu.free_bytes), gpu.driver or "–"


def _known(known: tuple[KnownCard, ...]) -> list[str]:
    rows = [
        (f"{card.gigabytes:g} GB", card.name, card.architecture, "yes" if card.bf16 else "no")
        for card in known
    ]
    return table(rows, ("Memory", "Known card (--card NAME)", "Architecture", "bf16"))


def _planned(options: argparse.Namespace) -> bool:
    return options.gpu_gb is not None or options.card is not None


def _trainable(home: Home, options: argparse.Namespace, console: Console) -> int:
    problems: list[Problem] = []
    machine = wishes.machine_of(options, problems)
    method = wishes.method_of(options, problems)
    wishes.refuse(problems, "trainable")
    machine = machine or actions.machine_now(home)
    most = 0 if options.all else _SHOWN
    found = {
        each: largest(machine, catalogue.known(), each, most)
        for each in ([method] if method else _METHODS)
    }
    result = {each: [_plain(offer) for offer in offers] for each, offers in found.items()}
    console.result(result, _lines(machine, found))
    return 0


def _plain(offer: Offer) -> dict[str, Any]:
    one = offer.estimate
    return {
        "model": offer.model.id,
        "parameters": offer.model.parameters,
        "licence": offer.model.licence,
        "expected_bytes": one.expected_bytes,
        "upper_bytes": one.upper_bytes,
        "needed_bytes": one.needed_bytes,
        "available_bytes": one.available_bytes,
        "source": offer.model.config_source,
    }


def _lines(machine: Machine, found: dict[Method, tuple[Offer, ...]]) -> list[str]:
    device = machine.gpu.name if machine.gpu else "this machine without a card"
    told = [f"What could be trained on {device}, with rows of {OFFER_LENGTH} tokens:"]
    for method, offers in found.items():
        rows = [
            (offer.model.id, _parameters(offer.model.parameters), size(offer.estimate.needed_bytes))
            for offer in offers
        ]
        head = (wishes.METHODS[method], "Parameters", "Needed at most")
        told += ["", *(table(rows, head) if rows else [f"{head[0]}: nothing of the catalogue."])]
    return told


def _parameters(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"
