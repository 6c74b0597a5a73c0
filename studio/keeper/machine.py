"""The machine as it is now: cards by NVML, memory and disk by psutil."""

from __future__ import annotations

import contextlib
import logging
import platform
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import psutil

from studio.core.facts import Ability, Gpu, Machine, chosen_card
from studio.keeper import card_choice
from studio.keeper.ours import Ours
from studio.keeper.system import System
from studio.library import seen_cards, settings
from studio.library.folders import Home

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pynvml  # type: ignore[import-untyped]

_log = logging.getLogger(__name__)

SECONDS = 1.0
_RETRY_SECONDS = 30.0
T = TypeVar("T")


class CardUse(NamedTuple):
    """What one card bears: bytes, degrees Celsius, and the bytes of each process on it, None
    where the driver keeps them to itself, as on Windows."""

    used_bytes: int
    celsius: int | None
    processes: dict[int, int | None]


class Cards:
    """The NVIDIA cards. What a driver doesn't say is None; without a driver there are none."""

    def __init__(self) -> None:
        self._ready = False
        self._retry_at = 0.0
        self._ours = Ours()

    def now(self) -> tuple[Gpu, ...]:
        """Each card as NVML shows it now."""
        return self._each(self._card)

    def uses(self) -> tuple[CardUse, ...]:
        """What each card bears now."""
        return self._each(_use)

    def _card(self, index: int) -> Gpu | None:
        use, handle = _use(index), _ask(pynvml.nvmlDeviceGetHandleByIndex, index)
        return handle and use and _card(index, handle, self._our_bytes(use.processes))

    def _our_bytes(self, processes: dict[int, int | None]) -> int | None:
        """What our engines hold; None where the driver keeps that to itself."""
        ours = [taken for pid, taken in processes.items() if self._ours.has(pid)]
        known = [taken for taken in ours if taken is not None]
        return sum(known) if len(known) == len(ours) else None

    def _each(self, look: Callable[[int], T | None]) -> tuple[T, ...]:
        if not self._open():
            return ()
        try:
            count = pynvml.nvmlDeviceGetCount()
            return tuple(found for index in range(count) if (found := look(index)))
        except pynvml.NVMLError:
            self._ready = False
            return ()

    def _open(self) -> bool:
        if not self._ready and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                self._ready = True
        return self._ready


class Sampler:
    """Measures about every second while somebody wants it, in a thread of its own."""

    def __init__(self, home: Home, system: System, push: Callable[[Machine], None]) -> None:
        self._home = home
        self._system = system
        self._abilities: tuple[Ability, ...] | None = None
        self._push = push
        self._cards = Cards()
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._left = threading.Event()
        self._latest: Machine | None = None

    def begin(self) -> None:
        threading.Thread(target=self._run, name="machine", daemon=True).start()

    def want(self, wanted: bool) -> None:
        """Whether anybody watches."""
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    def leave(self) -> None:
        self._left.set()
        self._wanted.set()

    def now(self) -> Machine:
        """The machine, measured now or less than a second ago."""
        with self._lock:
            if self._latest is None or time.time() - self._latest.time > SECONDS:
                self._latest = self._measure()
            return self._latest

    def _measure(self) -> Machine:
        if self._abilities is None:
            self._abilities = self._system.abilities()
        on_battery = self._system.on_battery()
        found = measure(self._home, self._cards)
        return msgspec.structs.replace(found, abilities=self._abilities, on_battery=on_battery)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._left.is_set():
                return
            try:
                self._push(self.now())
            except (OSError, psutil.Error) as error:
                _log.warning("the machine can't be measured: %s", error)
            self._left.wait(SECONDS)


def measure(home: Home, cards: Cards) -> Machine:
    """The machine of this home, now. Cards that NVML can't see are as an engine saw them last."""
    memory = psutil.virtual_memory()
    wanted = settings.load(home)
    gpus, idle = _usable(home, cards)
    return Machine(
        gpus=gpus,
        card=chosen_card(gpus, wanted.card),
        idle_gpus=idle,
        cpu=_processor(),
        cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        ram_total_bytes=memory.total,
        ram_free_bytes=memory.available,
        disk_free_bytes=psutil.disk_usage(str(home.root)).free,
        reserve_bytes=wanted.reserve_bytes,
        bf16_cpu="avx512_bf16" in _flags() or "amx_bf16" in _flags(),
        time=time.time(),
    )


def engine_environment(home: Home) -> dict[str, str]:
    """What an engine that is started now finds in its environment, so that it computes on the card
    that the settings name, or else on the one with the most free memory."""
    gpus, _ = _usable(home, Cards())
    return card_choice.environment(gpus, chosen_card(gpus, settings.load(home).card))


def _usable(home: Home, cards: Cards) -> tuple[tuple[Gpu, ...], tuple[Gpu, ...]]:
    """The cards that a run can use, and those that torch sees and no run uses."""
    by_nvml = cards.now()
    if by_nvml:
        return card_choice.visible(by_nvml), ()
    by_torch = seen_cards.load(home)
    used = tuple(gpu for gpu in by_torch if gpu.vendor in seen_cards.TRAINED_ON)
    return used, tuple(gpu for gpu in by_torch if gpu not in used)


def _use(index: int) -> CardUse | None:
    handle = _ask(pynvml.nvmlDeviceGetHandleByIndex, index)
    memory = handle and _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    if not memory:
        return None
    processes: dict[int, int | None] = {}
    for question in (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        for process in _ask(question, handle) or ():
            processes[int(process.pid)] = process.usedGpuMemory
    celsius = _ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    return CardUse(int(memory.used), celsius, processes)


def _card(index: int, handle: Any, ours: int | None) -> Gpu | None:
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    if not memory:
        return None
    rates = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    power = _ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    limit = _ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return Gpu(
        index=index,
        name=_text(_ask(pynvml.nvmlDeviceGetName, handle)) or f"GPU {index}",
        total_bytes=int(memory.total),
        used_bytes=int(memory.used),
        free_bytes=int(memory.free),
        ours_bytes=ours,
        utilisation=rates and int(rates.gpu),
        temperature=_ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        power=None if power is None else power / 1000,
        power_limit=None if limit is None else limit / 1000,
        compute_capability=_ask(pynvml.nvmlDeviceGetCudaComputeCapability, handle),
        driver=_text(_ask(pynvml.nvmlSystemGetDriverVersion)),
        uuid=_text(_ask(pynvml.nvmlDeviceGetUUID, handle)),
    )


def _ask(function: Callable[..., T], *arguments: Any) -> T | None:
    try:
        return function(*arguments)
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


_known: dict[str, str] = {}


def _processor() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    return _cpuinfo().get("flags", "").split()


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; elsewhere nothing is known."""
    if not _known and sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            _known.setdefault(key.strip(), value.strip())
    return _known
