"""What is asked of the operating system; its programs stand in at the outermost edge."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from studio.client.keeper import Keeper
from studio.core import commands, events
from studio.core.errors import StudioError
from studio.keeper import system
from studio.keeper.system import linux, macos, windows
from studio.library import runs, settings
from studio.library.folders import Home
from tests.support.keeping import Bench, Ear, gone, wait

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="programs and files of Linux"
)

HOLDING = """#!/bin/sh
# as systemd-inhibit does: hold, run the command to its end, let go
echo "hold $$ $*" >> "{record}"
for word in "$@"; do command="$word"; done
"$command"
echo "release $$" >> "{record}"
"""
RECORDING = """#!/bin/sh
echo "{name} $*" >> "{record}"
"""
REFUSING = """#!/bin/sh
echo "Failed to inhibit: Access denied" >&2
echo "refused" >> "{record}"
exit 1
"""
BUS = """#!/bin/sh
case "$*" in
  *CanSuspend) echo 's "{suspend}"' ;;
  *CanPowerOff) echo 's "yes"' ;;
  *ListInhibitors) echo 'a(ssssuu) 0' ;;
  *) exit 1 ;;
esac
"""


class Programs:
    """Programs of the system, first on PATH, that write down what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"
        self.record.touch()

    def put(self, name: str, script: str, **words: str) -> None:
        path = self.folder / name
        path.write_text(script.format(record=self.record, name=name, **words), "utf-8")
        path.chmod(0o755)

    def lines(self) -> list[str]:
        return self.record.read_text("utf-8").splitlines()

    def holding(self) -> list[int]:
        """The processes that hold the machine awake now, after what they wrote down."""
        began = [int(line.split()[1]) for line in self.lines() if line.startswith("hold")]
        ended = [int(line.split()[1]) for line in self.lines() if line.startswith("release")]
        return [pid for pid in began if pid not in ended]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "KDE")
    return Programs(folder)


def test_awake_is_held_once_and_given_back(programs: Programs) -> None:
    programs.put("systemd-inhibit", HOLDING)
    machine = system.here()
    machine.let_sleep()
    machine.keep_awake()
    machine.keep_awake()
    wait(programs.lines)
    assert len(programs.lines()) == 1
    assert "--what=idle:sleep" in programs.lines()[0]
    assert len(programs.holding()) == 1
    machine.let_sleep()
    assert programs.holding() == []
    machine.keep_awake()
    wait(lambda: len(programs.lines()) == 3)
    machine.let_sleep()
    assert len(programs.lines()) == 4


def test_gnome_is_asked_in_its_own_way_too(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "ubuntu:GNOME")
    programs.put("systemd-inhibit", HOLDING)
    programs.put("gnome-session-inhibit", HOLDING)
    machine = system.here()
    machine.keep_awake()
    wait(lambda: len(programs.lines()) == 2)
    assert sum("--inhibit suspend" in line for line in programs.lines()) == 1
    machine.let_sleep()
    assert programs.holding() == []


@pytest.mark.usefixtures("warnings_expected")
def test_a_hold_that_is_lost_is_taken_again(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "AGAIN_SECONDS", 0.0)
    programs.put("systemd-inhibit", HOLDING)
    machine = system.here()
    machine.keep_awake()
    wait(programs.holding)
    first = programs.holding()[0]
    wait(psutil.Process(first).children)
    # the program before its command, whose end it would otherwise write down as a release
    for process in [psutil.Process(first), *psutil.Process(first).children()]:
        process.kill()
    wait(lambda: gone(first))
    _until(machine, lambda: len(programs.lines()) == 2)
    machine.let_sleep()


@pytest.mark.usefixtures("warnings_expected")
def test_where_it_is_refused_it_is_said_and_nothing_else_happens(
    programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    programs.put("systemd-inhibit", REFUSING)
    machine = system.here()
    machine.keep_awake()
    _until(machine, lambda: caplog.records)
    for _ in range(10):
        machine.keep_awake()
    assert [r.message for r in caplog.records] == [
        "systemd-inhibit does not keep the machine awake: Failed to inhibit: Access denied"
    ]
    assert programs.lines() == ["refused"]
    machine.let_sleep()


@pytest.mark.usefixtures("warnings_expected")
def test_what_is_refused_again_and_again_is_said_once(
    programs: Programs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "AGAIN_SECONDS", 0.0)
    programs.put("systemd-inhibit", REFUSING)
    machine = system.here()
    _until(machine, lambda: len(programs.lines()) >= 3)
    assert len(caplog.records) == 1
    machine.let_sleep()


def test_without_the_programs_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    machine = system.here()
    assert machine.abilities() == ()
    machine.keep_awake()
    machine.let_sleep()
    with pytest.raises(StudioError, match="by hand"):
        machine.sleep()


def test_sleep_and_shut_down(programs: Programs) -> None:
    programs.put("systemctl", RECORDING)
    machine = system.here()
    machine.sleep()
    machine.shut_down()
    assert programs.lines() == [
        "systemctl --no-ask-password suspend",
        "systemctl --no-ask-password poweroff",
    ]
    programs.put("systemctl", REFUSING)
    with pytest.raises(StudioError, match="Access denied") as refused:
        machine.shut_down()
    assert refused.value.title == "The machine does not shut down"


@pytest.mark.parametrize(
    ("suspend", "found"),
    [("yes", ("keep-awake", "sleep", "shut-down")), ("challenge", ("keep-awake", "shut-down"))],
)
def test_abilities_are_what_logind_says(
    programs: Programs, suspend: str, found: tuple[str, ...]
) -> None:
    programs.put("systemd-inhibit", HOLDING)
    programs.put("busctl", BUS, suspend=suspend)
    assert system.here().abilities() == found


@pytest.mark.parametrize(
    ("supplies", "found"),
    [
        ({}, None),
        ({"AC": ("Mains", "online", "1")}, None),
        ({"BAT0": ("Battery", "status", "Discharging")}, True),
        ({"BAT0": ("Battery", "status", "Charging")}, False),
        ({"BAT0": ("Battery", "status", "Not charging")}, False),
        (
            {"BAT0": ("Battery", "status", "Discharging"), "ACAD": ("Mains", "online", "0")},
            True,
        ),
        # a machine that takes more than its small plug gives
        ({"BAT1": ("Battery", "status", "Discharging"), "ucsi": ("USB", "online", "1")}, False),
    ],
)
def test_battery(
    tmp_path: Path, supplies: dict[str, tuple[str, str, str]], found: bool | None
) -> None:
    for name, (kind, file, value) in supplies.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n", "utf-8")
        (tmp_path / name / file).write_text(f"{value}\n", "utf-8")
    assert linux.Linux(tmp_path).on_battery() is found


def test_the_battery_of_a_mouse_is_none_of_the_machine(tmp_path: Path) -> None:
    mouse = tmp_path / "hidpp_battery_0"
    mouse.mkdir()
    for name, value in (("type", "Battery"), ("scope", "Device"), ("status", "Discharging")):
        (mouse / name).write_text(f"{value}\n", "utf-8")
    assert linux.Linux(tmp_path).on_battery() is None


def test_macos_is_asked_as_its_manuals_say(programs: Programs) -> None:
    """As far as that can be seen here: `caffeinate -w` watches this process."""
    for name in ("pmset", "osascript"):
        programs.put(name, RECORDING)
    programs.put("caffeinate", '#!/bin/sh\necho "hold $$ $*" >> "{record}"\nexec sleep 600\n')
    machine = macos.MacOS()
    machine.keep_awake()
    machine.keep_awake()
    wait(programs.lines)
    (held,) = programs.lines()
    assert held.endswith(f" -i -w {os.getpid()}")
    machine.let_sleep()
    assert gone(programs.holding()[0])
    machine.sleep()
    machine.shut_down()
    assert programs.lines()[1:] == [
        "pmset sleepnow",
        'osascript -e tell application "System Events" to shut down',
    ]


def test_windows_is_asked_as_its_manuals_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    class Library:
        def SetThreadExecutionState(self, state: ctypes.c_uint) -> int:
            asked.append(("state", state.value))
            return 1

        def SetSuspendState(self, hibernate: bool, force: bool, unwakeable: bool) -> int:
            asked.append(("suspend", hibernate or force or unwakeable))
            return 0

    monkeypatch.setattr(windows, "_library", lambda name: Library())
    machine = windows.Windows()
    machine.let_sleep()
    machine.keep_awake()
    machine.keep_awake()
    machine.let_sleep()
    with pytest.raises(StudioError, match="by hand"):
        machine.sleep()
    assert asked == [("state", 0x80000001), ("state", 0x80000000), ("suspend", False)]


def test_this_machine_can_be_asked() -> None:
    assert system.here().on_battery() in (None, True, False)
    assert set(system.here().abilities()) <= {"keep-awake", "sleep", "shut-down"}


def test_the_keeper_holds_it_exactly_while_a_run_trains(
    programs: Programs, bench: Bench, run: Path
) -> None:
    programs.put("systemd-inhibit", HOLDING)
    chat = bench.chat()
    bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(chat)
        Ear(keeper, chat).until(events.Started)
        assert programs.lines() == []
        keeper.start(run)
        ear = Ear(keeper, run)
        ear.until(events.Step)
        wait(programs.holding)
        _rule(bench.home, keep_awake=False)
        wait(lambda: not programs.holding())
        _rule(bench.home, keep_awake=True)
        wait(programs.holding)
        keeper.tell(run, commands.Pause())
        ear.to_end()
        assert runs.state_of(run).state == "paused"
        wait(lambda: not programs.holding())
        assert len(programs.lines()) == 4
        keeper.tell(chat, commands.Leave())


def test_no_hold_stays_behind_a_killed_keeper(programs: Programs, bench: Bench, run: Path) -> None:
    """Also not in the engine that it launched before or after, which lives on."""
    programs.put("systemd-inhibit", HOLDING)
    later = bench.run("")
    process = bench.start_keeper()
    with Keeper.connect(bench.home, start=False) as keeper:
        keeper.start(run)
        wait(programs.holding)
        keeper.start(later)
        Ear(keeper, later).until(events.Step)
        holder = programs.holding()[0]
        children = psutil.Process(holder).children()
        os.kill(process.pid, signal.SIGKILL)
    wait(lambda: not programs.holding())
    wait(lambda: gone(holder) and all(gone(child.pid) for child in children))
    assert all(row.living for row in runs.listing(bench.home))
    bench.start_keeper()
    wait(programs.holding)


def _until(machine: system.System, ready: Callable[[], object]) -> None:
    """Keep it awake again and again until that is ready."""

    def look() -> object:
        machine.keep_awake()
        return ready()

    wait(look)


def _rule(home: Home, **rules: object) -> None:
    now = settings.load(home)
    changed = msgspec.structs.replace(now.guard, **rules)
    settings.save(home, msgspec.structs.replace(now, guard=changed))
