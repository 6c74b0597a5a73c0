"""Which build of torch this machine gets, and how it is fetched.

torch's own index has a build for every card and driver; uv picks the one that fits. Where that
index can't be reached, the ordinary one has a single build for each system.
"""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

INDEX = "https://download.pytorch.org/whl/cpu/torch/"
SECONDS = 4.0  # an index that takes longer than this to answer counts as out of reach
UV = "uv==0.13.9"


def driver_installed() -> bool:
    """Whether NVIDIA's driver is there at all; asking it would take longer."""
    return shutil.which("nvidia-smi") is not None


def card_seen() -> bool:
    """Whether an NVIDIA card answers."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "GPU" in done.stdout


def index_reachable(url: str = INDEX, seconds: float = SECONDS) -> bool:
    """Whether torch's own index answers, whatever it answers, in time."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=seconds):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 400
    except (OSError, ssl.SSLError, ValueError):
        return False


def commands(python: Path, pin: str, card: bool, reachable: bool) -> list[list[str]]:
    """What to run, in order, to install the pinned torch into the environment of `python`."""
    pip = [str(python), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    if sys.platform == "darwin" or not reachable:
        return [[*pip, pin]]
    uv = [str(python), "-m", "uv", "pip", "install", "--python", str(python)]
    return [[*pip, UV], [*uv, f"--torch-backend={'auto' if card else 'cpu'}", pin]]


def fits(site: Path, installed_version: str, pin: str, card: bool) -> bool:
    """Whether the torch that is installed is the pinned one, and a card's where there is a card."""
    wanted = pin.partition("==")[2]
    if installed_version.partition("+")[0] != wanted:
        return False
    return not card or sys.platform == "darwin" or for_cards(site)


def for_cards(site: Path) -> bool:
    """Whether the installed torch was built for CUDA; read from it, not imported."""
    file = site / "torch" / "version.py"
    text = file.read_text("utf-8") if file.exists() else ""
    return re.search(r"^cuda\b[^=]*= *['\"]\d", text, re.MULTILINE) is not None
