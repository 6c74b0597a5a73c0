"""What the keeper sees of cards, and which of them an engine is given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from studio.client.keeper import Keeper
from studio.core import commands
from studio.core.facts import Gpu, Machine, chosen_card
from studio.keeper import card_choice
from studio.keeper.engines import Engines
from studio.keeper.machine import Cards, engine_environment, measure
from studio.keeper.prober import Prober
from studio.keeper.sweep import MARK
from studio.library import locks, seen_cards, settings
from studio.library.folders import Home, JobFolder
from studio.library.settings import Settings
from tests.support.keeping import Bench, wait
from tests.support.nvml import GIB, FakeCards

SMALL = {"name": "NVIDIA GeForce RTX 3060", "uuid": "GPU-small", "total": 12 * GIB, "used": 0}


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is no engine."""
    yield from _process({})


@pytest.fixture
def engine() -> Iterator[int]:
    """A process with an engine's mark."""
    yield from _process({MARK: "somewhere"})


def _process(environment: dict[str, str]) -> Iterator[int]:
    words = [sys.executable, "-c", "print(flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, env=os.environ | environment, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


def gpu(index: int = 0, free: int = 0, **fields: object) -> Gpu:
    made = {"name": f"Card {index}", "total_bytes": 24, "used_bytes": 0, "uuid": f"GPU-{index}"}
    return msgspec.convert(made | {"index": index, "free_bytes": free} | fields, Gpu)


def test_what_others_hold_is_told_from_what_our_engines_hold(
    home: Home, fake_cards: FakeCards, engine: int, stranger: int
) -> None:
    fake_cards.set(used=8 * GIB, processes=f"{engine}:{5 * GIB},{stranger}:{2 * GIB}")
    card = measure(home, Cards()).gpu
    assert card is not None
    assert (card.used_bytes, card.ours_bytes, card.others_bytes) == (8 * GIB, 5 * GIB, 3 * GIB)
    assert card.free_bytes == 16 * GIB
    fake_cards.set(processes=f"{engine}:-")  # as Windows answers
    card = measure(home, Cards()).gpu
    assert card is not None
    assert card.ours_bytes is None
    assert card.others_bytes == 8 * GIB


def test_the_reserve_is_the_settings(home: Home, fake_cards: FakeCards) -> None:
    settings.save(home.make(), Settings(reserve_bytes=2 * GIB))
    assert measure(home, Cards()).reserve_bytes == 2 * GIB


def test_of_several_cards_a_run_uses_the_one_with_most_free_memory(
    home: Home, fake_cards: FakeCards
) -> None:
    fake_cards.set(uuid="GPU-large", used=20 * GIB)
    fake_cards.add(**SMALL)
    machine = measure(home.make(), Cards())
    assert [card.uuid for card in machine.gpus] == ["GPU-large", "GPU-small"]
    assert machine.gpu == machine.gpus[1]
    assert engine_environment(home) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "GPU-small",
    }
    fake_cards.set(used=0)
    assert engine_environment(home)["CUDA_VISIBLE_DEVICES"] == "GPU-large"


@pytest.mark.parametrize("wanted", ["GPU-small", "1", "3060", "rtx 3060"])
def test_the_settings_name_the_card(home: Home, fake_cards: FakeCards, wanted: str) -> None:
    fake_cards.set(uuid="GPU-large")
    fake_cards.add(**SMALL)
    settings.save(home.make(), Settings(card=wanted))
    assert measure(home, Cards()).card == 1
    assert engine_environment(home)["CUDA_VISIBLE_DEVICES"] == "GPU-small"


def test_with_one_card_or_none_nothing_is_said_to_an_engine(
    home: Home, fake_cards: FakeCards
) -> None:
    assert engine_environment(home.make()) == {}
    fake_cards.break_down()
    assert engine_environment(home) == {}
    assert measure(home, Cards()).gpu is None


def test_a_card_that_is_gone_is_no_longer_chosen() -> None:
    cards = (gpu(0, 5), gpu(1, 9))
    assert chosen_card(cards, "GPU-gone") == 1
    assert chosen_card(cards, "0") == 0
    assert chosen_card((gpu(0, 5, name="RTX A"), gpu(1, 9, name="RTX B")), "rtx") == 1
    assert chosen_card((), "0") == 0
    assert Machine(gpus=cards, card=7).gpu == cards[0]


def test_a_lost_card_doesnt_take_the_others_along(home: Home, fake_cards: FakeCards) -> None:
    fake_cards.set(error=15)
    fake_cards.add(**SMALL)
    machine = measure(home.make(), Cards())
    assert [card.uuid for card in machine.gpus] == ["GPU-small"]
    assert machine.gpu == machine.gpus[0]


@pytest.mark.parametrize("error", [4, 9, 15, 16, 18, 999])
def test_a_driver_that_only_fails_leaves_no_card(
    home: Home, fake_cards: FakeCards, error: int
) -> None:
    fake_cards.break_down(error)
    assert measure(home.make(), Cards()).gpus == ()


def test_a_part_of_a_card_answers_what_it_can(home: Home, fake_cards: FakeCards) -> None:
    """MIG and vGPU support neither rates nor power; memory is what a run goes by."""
    fake_cards.set(name="GRID A100-2-10C", total=10 * GIB, used=GIB, utilization=None)
    fake_cards.set(temperature=None, power=None, power_limit=None, capability=None, uuid=None)
    card = measure(home.make(), Cards()).gpu
    assert card is not None
    assert (card.name, card.free_bytes, card.ours_bytes) == ("GRID A100-2-10C", 9 * GIB, 0)
    assert (card.utilisation, card.power, card.compute_capability, card.uuid) == (
        None, None, None, "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({}, [0, 1]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, [1, 0]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, [0, 1]),  # CUDA's own numbers are not NVML's
        ({"CUDA_VISIBLE_DEVICES": "MIG-7"}, [0, 1]),
    ],
)
def test_whoever_started_the_studio_may_leave_it_fewer_cards(
    said: dict[str, str], left: list[int]
) -> None:
    cards = (gpu(0), gpu(1))
    assert [card.index for card in card_choice.visible(cards, said)] == left


def test_a_look_is_wanted_where_torch_is_made_for_others_cards(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.make()
    for build, wanted in (
        ("2.13.0+cpu", False),
        ("2.13.0+cu130", False),
        ("2.13.0", False),
        ("2.13.0+rocm7.0", True),
        ("2.13.0+xpu", True),
    ):
        monkeypatch.setattr(seen_cards, "_torch", lambda build=build: build)
        assert seen_cards.wants_a_look(home) == wanted


def test_what_torch_saw_counts_until_torch_is_another(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.make()
    monkeypatch.setattr(seen_cards, "_torch", lambda: "2.13.0+rocm7.0")
    radeon, arc = gpu(0, 5, vendor="amd"), gpu(0, 9, vendor="intel")
    seen_cards.save(home, (radeon, arc))
    assert not seen_cards.wants_a_look(home)
    machine = measure(home, Cards())
    assert (machine.gpus, machine.idle_gpus, machine.gpu) == ((radeon,), (arc,), radeon)
    monkeypatch.setattr(seen_cards, "_torch", lambda: "2.14.0+rocm7.0")
    assert seen_cards.wants_a_look(home)
    assert measure(home, Cards()).gpus == ()
    home.seen_cards.write_bytes(b"{")
    assert seen_cards.load(home) == ()


def test_what_nvml_sees_goes_before_what_torch_saw(home: Home, fake_cards: FakeCards) -> None:
    seen_cards.save(home.make(), (gpu(0, 5, vendor="amd"),))
    machine = measure(home, Cards())
    assert [card.vendor for card in machine.gpus] == ["nvidia"]
    assert machine.idle_gpus == ()


def test_an_engine_finds_the_chosen_card_in_its_environment(
    fake_cards: FakeCards, bench: Bench, run: Path
) -> None:
    fake_cards.set(uuid="GPU-large", used=20 * GIB)
    fake_cards.add(**SMALL)
    bench.start_keeper()
    lock = JobFolder(run).lock
    with Keeper.connect(bench.home, start=False) as client:
        client.start(run)
        wait(lambda: locks.held(lock) and locks.holder(lock))
        engine = psutil.Process(locks.holder(lock)).environ()
    assert engine["CUDA_VISIBLE_DEVICES"] == "GPU-small"
    assert engine["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_a_keeper_has_an_engine_look_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_cards, "_torch", lambda: "2.13.0+rocm7.0")
    engines = Engines(bench.home)
    prober = Prober(bench.home, engines)
    prober.tick(0.0)
    prober.tick(1.0)
    (row,) = engines.rows()
    assert row.kind == "probe"
    (folder,) = bench.home.jobs.glob("probe-*")
    engines.tell(folder, commands.Cancel())  # the fake engine looks for ever

    def over() -> bool:
        engines.tick()
        return not engines.rows()

    wait(over)
    seen_cards.save(bench.home, ())
    Prober(bench.home, engines).tick(0.0)
    assert engines.rows() == []
