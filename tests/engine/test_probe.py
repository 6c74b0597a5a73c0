"""What torch is asked about cards that NVML can't see; the answers are made up at its edge."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from studio.core import commands, events
from studio.engine import probe
from studio.library import jobs, seen_cards
from studio.library.folders import Home
from tests.engine.making import context_of, said

GIB = 1 << 30


def _backend(count: int, free: int | None, name: str) -> SimpleNamespace:
    def mem_get_info(index: int) -> tuple[int, int]:
        if free is None:
            raise RuntimeError("not supported")
        return free, 16 * GIB

    return SimpleNamespace(
        is_available=lambda: count > 0,
        device_count=lambda: count,
        get_device_properties=lambda index: SimpleNamespace(name=name, total_memory=16 * GIB),
        mem_get_info=mem_get_info,
    )


def _torch(**parts: object) -> SimpleNamespace:
    """What of torch the look asks: nothing on this machine but the words."""
    none = SimpleNamespace(is_available=lambda: False)
    plain: dict[str, object] = {
        "version": SimpleNamespace(hip=None),
        "cuda": none,
        "xpu": none,
        "backends": SimpleNamespace(mps=none),
    }
    return SimpleNamespace(**plain | parts)


def test_torch_is_asked_for_cards_of_each_maker() -> None:
    assert probe.look() == ()  # the real torch of this machine: a build for processors
    radeon = _torch(version=SimpleNamespace(hip="7.0"), cuda=_backend(2, 9 * GIB, "Radeon RX"))
    found = probe.look(radeon)
    assert [(each.index, each.vendor, each.driver) for each in found] == [
        (0, "amd", "ROCm 7.0"),
        (1, "amd", "ROCm 7.0"),
    ]
    assert (found[0].free_bytes, found[0].used_bytes) == (9 * GIB, 7 * GIB)
    (arc,) = probe.look(_torch(xpu=_backend(1, None, "Arc A770")))
    assert (arc.vendor, arc.name, arc.free_bytes) == ("intel", "Arc A770", 16 * GIB)
    apple = _torch(
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True)),
        mps=SimpleNamespace(
            recommended_max_memory=lambda: 11 * GIB, driver_allocated_memory=lambda: GIB
        ),
    )
    (shared,) = probe.look(apple)
    assert (shared.vendor, shared.total_bytes, shared.free_bytes) == ("apple", 11 * GIB, 10 * GIB)
    nvidia = _torch(cuda=_backend(1, 9 * GIB, "GeForce"))
    assert probe.look(nvidia) == ()  # NVML's own


def test_the_job_keeps_what_it_saw_for_the_keeper(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_cards, "_torch", lambda: "2.13.0+rocm7.0")
    folder = jobs.create(home.make(), commands.Probe())
    assert seen_cards.wants_a_look(home)
    probe.run(context_of(home, folder, commands.Probe()))
    (finished,) = said(folder, events.Finished)
    assert finished.result == {"gpus": []}
    assert not seen_cards.wants_a_look(home)
