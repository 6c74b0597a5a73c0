"""doctor: what works on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from studio.cli.console import Console
from studio.client import actions
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

WORST = ("ok", "warning", "problem")


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of doctor."""
    about = "What works on this machine, and what to do about the rest. Status 1 on a problem."
    one = parsers.add_parser(
        "doctor", parents=[shared], help="look after the machine", description=about
    )
    one.set_defaults(run=_doctor, homeless=lambda options: True)


def _doctor(home: Home, options: argparse.Namespace, console: Console) -> int:
    found = actions.diagnose(home)
    worst = max((finding.status for finding in found), key=WORST.index)
    lines = []
    for finding in found:
        lines.append(f"{finding.status:<8} {finding.name}: {finding.text}")
        if finding.fix:
            lines.append(f"         → {finding.fix}")
    console.result({"status": worst, "checks": msgspec.to_builtins(found)}, lines)
    return 1 if worst == "problem" else 0
