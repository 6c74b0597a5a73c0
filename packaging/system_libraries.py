"""The shared libraries and programs that pip can't bring: what Qt and the tests load."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

from stages import SetUpError, Stages, note

# What Qt's window system plug-ins are linked against, and Debian's package for each.
LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
# The tests click a real window on a screen of their own, and compile a fake NVIDIA driver.
PROGRAMS = {
    "Xvfb": "xvfb",
    "xauth": "xauth",
    "xdotool": "xdotool",
    "openbox": "openbox",
    "xprop": "x11-utils",
    "gcc": "gcc libc6-dev",
}


def missing(for_tests: bool) -> list[str]:
    """Debian's names of the packages whose library can't be loaded or program isn't there."""
    if not sys.platform.startswith("linux"):
        return []
    packages = [package for library, package in LIBRARIES.items() if not _loads(library)]
    if for_tests:
        packages += [p for program, p in PROGRAMS.items() if shutil.which(program) is None]
    return " ".join(packages).split()


def install(stages: Stages, for_tests: bool) -> None:
    """Install what is missing where that is possible; otherwise say the line to type."""
    packages = missing(for_tests)
    if not packages:
        return
    if shutil.which("apt-get") is None:
        libraries = ", ".join(name for name, p in LIBRARIES.items() if p in packages)
        note(f"Qt needs system libraries that are missing: {libraries or ', '.join(packages)}.")
        note("Install them with your system's package manager; set-up goes on meanwhile.")
    elif hasattr(os, "geteuid") and os.geteuid() == 0:
        _apt(stages, packages)
    else:
        note("System packages are missing; set-up goes on, and this line installs them:")
        note(f"    {line(packages)}")


def line(packages: list[str]) -> str:
    """What a person types to install them."""
    return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def _apt(stages: Stages, packages: list[str]) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    try:
        with stages.stage(f"Installing {len(packages)} system packages"):
            if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
                stages.run(["apt-get", "update"], **quiet)
            try:
                stages.run(install, **quiet)
            except SetUpError:  # a list too old names files that are gone
                stages.run(["apt-get", "update"], **quiet)
                stages.run(install, **quiet)
    except SetUpError as error:
        note(f"{error}\nSet-up goes on; this line installs them: {line(packages)}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
