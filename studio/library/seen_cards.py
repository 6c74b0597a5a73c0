"""The cards that NVML can't see, as torch in an engine saw them.

What was seen counts until torch, the system or the driver is another. Written from documentation
and not verified on such a card.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import sys
from pathlib import Path

import msgspec

from studio.core.facts import Gpu, Vendor
from studio.core.upgrades import Newer
from studio.library import formats
from studio.library.files import write_whole
from studio.library.folders import Home

TRAINED_ON: tuple[Vendor, ...] = ("nvidia", "amd")
"""ROCm's torch speaks CUDA's words; Intel's and Apple's cards are seen, and not trained on."""
_AMD_DRIVER = Path("/sys/module/amdgpu/version")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine saw, and with which torch, system and driver."""

    identity: str
    gpus: tuple[Gpu, ...] = ()


def load(home: Home) -> tuple[Gpu, ...]:
    """The cards seen; none where nobody looked with today's torch and driver."""
    kept = _kept(home)
    return kept.gpus if kept and kept.identity == identity() else ()


def save(home: Home, gpus: tuple[Gpu, ...]) -> None:
    """Remember what torch sees."""
    home.seen_cards.parent.mkdir(parents=True, exist_ok=True)
    write_whole(home.seen_cards, formats.encode("cards", Seen(identity=identity(), gpus=gpus)))


def wants_a_look(home: Home) -> bool:
    """Whether this build of torch may see cards that NVML doesn't, and nobody has looked."""
    kept = _kept(home)
    return _made_for_others() and (kept is None or kept.identity != identity())


def identity() -> str:
    """What the answer depends on: torch, system and, where it says so, AMD's driver."""
    driver = ""
    with contextlib.suppress(OSError):
        driver = _AMD_DRIVER.read_text("ascii", "replace").strip()
    return "; ".join((_torch(), platform.system(), platform.release(), driver))


def _made_for_others() -> bool:
    """Builds of torch are for one maker's cards: “+rocm6.4” for AMD's, “+xpu” for Intel's."""
    build = _torch().partition("+")[2]
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return apple or build.startswith(("rocm", "xpu"))


def _torch() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _kept(home: Home) -> Seen | None:
    try:
        content = home.seen_cards.read_bytes()
        return formats.decode("cards", content, Seen, f"The file {home.seen_cards}")
    except (OSError, ValueError, Newer):
        return None
