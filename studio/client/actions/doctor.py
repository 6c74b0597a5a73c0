"""What works on this machine, and what to do about the rest."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from studio.client.actions.recipes import machine_now
from studio.core.accelerations import ALL, why_off
from studio.core.choices import BF16_CAPABILITY, NF4_CAPABILITY
from studio.core.errors import StudioError
from studio.core.facts import Gpu, Machine
from studio.core.memory import GIB
from studio.library import accelerations, models, parts, settings
from studio.library.folders import Home

Status = Literal["ok", "warning", "problem"]

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers")
REPAIR = "Set the studio up again: python packaging/run.py"
QT_LIBRARIES = {
    "EGL": "libegl1",
    "GL": "libgl1",
    "xkbcommon": "libxkbcommon0",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-keysyms": "libxcb-keysyms1",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
}
NVIDIA, AMD = "0x10de", "0x1002"
SMALL_MODELS = "Small models train on the processor."
A_CARD = "A card with 8 GB or more takes larger ones."
LOW_RAM, LOW_DISK, NO_DISK = 4 * GIB, 10 * GIB, 2 * GIB


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the doctor: what was looked at, what was found, what to do about it."""

    name: str
    status: Status
    text: str
    fix: str = ""


def diagnose(home: Home) -> list[Finding]:
    """Every finding. Loads neither torch nor Qt."""
    found = [_python(), *map(_library, LIBRARIES), _library("PySide6-Essentials")]
    folder = _home(home)
    found.append(folder)
    if folder.status == "ok":
        found += _machine(home)
    checks: tuple[Callable[[], Finding], ...] = (_display, _keyring)
    return found + [check() for check in checks] + [_starter(home), _parts()]


def _machine(home: Home) -> Iterator[Finding]:
    """What the keeper sees; it keeps its own files in the home folder."""
    try:
        machine = machine_now(home)
    except StudioError as error:
        yield Finding(name="keeper", status="problem", text=error.text, fix=error.fix)
        return
    yield Finding(name="keeper", status="ok", text="The background process answers.")
    yield from (*_cards(machine), _processor(machine), _ram(machine), _disk(machine))
    yield _accelerations(home, machine)
    yield from (_awake(machine), _turning_off(machine), _power(machine))


def _python() -> Finding:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}."
    if sys.maxsize < 2**32:
        fix = "Install a 64-bit Python of version 3.11 or newer."
        return Finding(name="Python", status="problem", text=f"{text} It is 32-bit.", fix=fix)
    return Finding(name="Python", status="ok", text=text)


def _library(name: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name=name, status="problem", text="It is not installed.", fix=REPAIR)
    return Finding(name=name, status="ok", text=f"Version {version}.")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _home(home: Home) -> Finding:
    probe = home.root / ".doctor"
    try:
        home.make()
        probe.touch()
        probe.unlink()
    except StudioError as error:
        return Finding(name="home", status="problem", text=error.text, fix=error.fix)
    except OSError as error:
        return Finding(
            name="home",
            status="problem",
            text=f"{home.root} can't be written ({error.strerror or error}).",
            fix="Make it writable, or choose another folder with --home.",
        )
    return Finding(name="home", status="ok", text=f"{home.root} can be written.")


def _cards(machine: Machine) -> Iterator[Finding]:
    if not machine.gpus:
        yield _no_card(machine)
    for gpu in machine.gpus:
        yield _card(gpu, machine)
    for gpu in machine.idle_gpus:
        text = f"{gpu.name}: {gpu.total_bytes / GIB:.1f} GB. The studio doesn't train on it."
        yield Finding(name="GPU", status="warning", text=text, fix=SMALL_MODELS)


def _accelerations(home: Home, machine: Machine) -> Finding:
    off, also = accelerations.switched_off(home), accelerations.asked_for(home)
    packages = accelerations.packages()
    capability = machine.gpu.compute_capability or (0, 0) if machine.gpu else None
    on: list[str] = []
    waiting: list[str] = []
    for one in ALL:
        why = why_off(one, off, packages, capability, also)
        (waiting if why else on).append(f"{one.name} ({why})" if why else f"{one.name}: {one.text}")
    text = " ".join(on) + (f" Not here: {', '.join(waiting)}." if waiting else "")
    return Finding(name="accelerations", status="ok", text=text.strip())


def _card(gpu: Gpu, machine: Machine) -> Finding:
    facts = _facts(gpu, machine)
    if "+cpu" in (_version("torch") or ""):
        return Finding(
            name="GPU",
            status="problem",
            text=f"{facts}, but the installed torch is a build for processors alone.",
            fix=REPAIR,
        )
    capability = gpu.compute_capability
    if capability is not None and capability < NF4_CAPABILITY:
        text = f"{facts}; it is too old for 4-bit training (compute capability {_dotted(gpu)})."
        return Finding(name="GPU", status="warning", text=text, fix="Use LoRA or the processor.")
    driver = f"driver {gpu.driver or 'unknown'}"
    if gpu.vendor == "nvidia" and capability is not None and capability < BF16_CAPABILITY:
        return Finding(
            name="GPU", status="ok", text=f"{facts}; no bf16, so float16 is used; {driver}."
        )
    return Finding(name="GPU", status="ok", text=f"{facts}, {driver}.")


def _facts(gpu: Gpu, machine: Machine) -> str:
    """Free, used by others, kept for the desktop; of several cards whether runs use this one."""
    number = f"{gpu.index}, " if len(machine.gpus) > 1 else ""
    free, total = gpu.free_bytes / GIB, gpu.total_bytes / GIB
    words = [f"{number}{gpu.name}: {free:.1f} of {total:.1f} GB free"]
    whose = "in use" if gpu.ours_bytes is None else "used by other programs"
    words.append(f"{gpu.others_bytes / GIB:.1f} {whose}")
    if gpu == machine.gpu:
        words.append(f"{machine.reserve_bytes / GIB:.1f} kept for the desktop")
        if number:
            words.append("runs use this one")
    return ", ".join(words)


def _dotted(gpu: Gpu) -> str:
    return ".".join(map(str, gpu.compute_capability or ()))


def _no_card(machine: Machine) -> Finding:
    """Training works without a card; the line says why there is none and what would help."""
    vendors = _vendors()
    if NVIDIA in vendors:
        text = "There is an NVIDIA card, but its driver doesn't answer (NVML)."
        fix = "Install NVIDIA's driver and restart the computer."
        return Finding(name="GPU", status="warning", text=text, fix=fix)
    if machine.idle_gpus:
        text = "Training runs on the processor."
    elif AMD in vendors:
        text = "There is an AMD card; the installed torch is no build for it (ROCm)."
    elif sys.platform == "darwin":
        text = "The studio does not use Apple's GPU; it trains on the processor."
    else:
        text = "No NVIDIA card was found, so training runs on the processor."
    fix = SMALL_MODELS if vendors or machine.idle_gpus else f"{SMALL_MODELS} {A_CARD}"
    return Finding(name="GPU", status="warning", text=text, fix=fix)


def _vendors() -> set[str]:
    """PCI vendors of display devices, as Linux shows them."""
    found = set()
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            if (device / "class").read_text("ascii").startswith("0x03"):
                found.add((device / "vendor").read_text("ascii").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _processor(machine: Machine) -> Finding:
    name = f"{machine.cpu or 'Processor'}, {machine.cores} cores"
    if machine.bf16_cpu:
        return Finding(name="CPU", status="ok", text=f"{name}, with bf16 instructions.")
    text = f"{name}, without bf16 instructions; training computes in float32 where that is faster."
    return Finding(name="CPU", status="ok", text=text)


def _ram(machine: Machine) -> Finding:
    free, total = machine.ram_free_bytes, machine.ram_total_bytes
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GB free."
    if free < LOW_RAM:
        return Finding(name="RAM", status="warning", text=text, fix="Close other programs.")
    return Finding(name="RAM", status="ok", text=text)


def _disk(machine: Machine) -> Finding:
    free = machine.disk_free_bytes
    text = f"{free / GIB:.1f} GB free where the studio's folder is."
    if free >= LOW_DISK:
        return Finding(name="disk", status="ok", text=text)
    status: Status = "warning" if free >= NO_DISK else "problem"
    fix = "Free some space, or choose a folder on another disk with --home."
    return Finding(name="disk", status=status, text=text, fix=fix)


def _awake(machine: Machine) -> Finding:
    name = "keep awake"
    if "keep-awake" in machine.abilities:
        return Finding(name=name, status="ok", text="The machine stays awake while a run trains.")
    return Finding(
        name=name,
        status="warning",
        text="The system doesn't let the studio keep the machine awake.",
        fix="Switch automatic sleep off in the system's settings while you train.",
    )


def _turning_off(machine: Machine) -> Finding:
    can = {"sleep": "put to sleep", "shut-down": "shut down"}
    works = " and ".join(words for key, words in can.items() if key in machine.abilities)
    text = f"The machine can be {works} after the queue." if works else "The system allows neither."
    return Finding(name="sleep and shut down", status="ok", text=text)


def _power(machine: Machine) -> Finding:
    if machine.on_battery is None:
        text = "There is none, so runs never pause for it."
    else:
        text = "The machine runs on it." if machine.on_battery else "The machine is plugged in."
    return Finding(name="battery", status="ok", text=text)


def _display() -> Finding:
    if not sys.platform.startswith("linux"):
        return Finding(name="display", status="ok", text="The system brings what the window needs.")
    missing = [
        package for name, package in QT_LIBRARIES.items() if not ctypes.util.find_library(name)
    ]
    if missing:
        return Finding(
            name="display",
            status="warning",
            text="Libraries that the window needs are missing.",
            fix=f"Install them: sudo apt-get install {' '.join(missing)}",
        )
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        text = "There is no screen here, so the window can't open; the command line works."
        fix = "Log in on a desktop, or use the verbs of “finetune-studio --help”."
        return Finding(name="display", status="warning", text=text, fix=fix)
    return Finding(name="display", status="ok", text="The window can open.")


def _keyring() -> Finding:
    if settings.keyring_works():
        return Finding(name="keyring", status="ok", text="Hub tokens are kept in it.")
    return Finding(
        name="keyring",
        status="warning",
        text="There is none, so a hub token lasts only until the studio is closed.",
        fix="Install a keyring service (GNOME Keyring or KWallet) if you use gated models.",
    )


def _starter(home: Home) -> Finding:
    if models.usable(models.starter_path(home)):
        return Finding(name="starter model", status="ok", text="It is on this machine.")
    return Finding(
        name="starter model",
        status="warning",
        text="It has not been fetched yet.",
        fix="Fetch it: finetune-studio models download starter",
    )


def _parts() -> Finding:
    """Optional parts: which are there, and how to get the others."""
    states = {part.name: parts.state(part) for part in parts.every()}
    told = ", ".join(f"{name} ({state})" for name, state in states.items())
    if broken := [name for name, state in states.items() if state == "broken"]:
        fix = f"Mend it: finetune-studio parts install {' '.join(broken)}"
        return Finding(name="parts", status="warning", text=f"{told}.", fix=fix)
    return Finding(name="parts", status="ok", text=f"Optional parts: {told}.")
