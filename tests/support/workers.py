"""Tests on every core at once: a worker a core, kept to it.

A worker and what it starts share one core, so that torch takes one thread and nobody's threads
wait for a core that another test has. Where the system can't keep a process to a core (macOS,
Windows), the workers share them all.
"""

from __future__ import annotations

import os

import psutil
import pytest

ROOM = 3 << 30
"""Bytes of memory for each worker: what the largest training of the suite takes, and some."""


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` comes to; with one core or little memory none, and pytest does it alone."""
    count = min(len(usable_cores()), psutil.virtual_memory().total // ROOM)
    return count if count > 1 else 0


def pytest_configure(config: pytest.Config) -> None:
    """Keep a worker to its core, before torch counts how many there are."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = usable_cores()
        number = int(worker["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
