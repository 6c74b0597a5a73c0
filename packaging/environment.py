"""The private environment (.venv in the clone): made, repaired, or found whole in a blink."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import inventory
import system_libraries
import torch_build
from stages import AGAIN, SetUpError, Stages, note

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from studio.library.locks import Lock  # noqa: E402  (standard library only, like all of this)

PRODUCT = ("product",)
WITH_TESTS = ("product", "test")
ROOM = 3 << 30  # bytes; without a card's torch the environment took 2.0 GB, and pip unpacks


class Environment:
    """One clone's environment. `root` is the clone."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.venv = root / ".venv"
        scripts = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
        self.python = self.venv.joinpath(*scripts)
        self.locks = root / "packaging" / "lock"
        self._stamp = self.venv / "set-up.json"
        self._stages = Stages(self.venv / "setup.log")

    @property
    def log(self) -> Path:
        return self._stages.log

    def ready(self, groups: Sequence[str]) -> bool:
        """Whether everything was set up as the locks say, and is still there."""
        try:
            stamp = json.loads(self._stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return False
        site = inventory.site_packages(self.venv)
        return (
            all(stamp["groups"].get(group) == self._fingerprint(group) for group in groups)
            and self.python.exists()
            and inventory.matches(site, stamp["files"])
        )

    def prepare(self, groups: Sequence[str], system: bool = True) -> Path:
        """The environment's Python once everything in these groups of locks is installed.

        Safe to interrupt and to run twice at once. SetUpError says what went wrong.
        """
        if self.ready(groups):
            return self.python
        with self._alone():
            if not self.ready(groups):
                self._check_room()
                if system:
                    system_libraries.install(self._stages, "test" in groups)
                self._install(groups)
        return self.python

    def _install(self, groups: Sequence[str]) -> None:
        self._stamp.unlink(missing_ok=True)
        self._make()
        site = inventory.site_packages(self.venv)
        self._mend(site)
        self._install_torch(site)
        names = {"product": "the studio's libraries", "test": "the test tools"}
        for group in groups:
            with self._stages.stage(f"Installing {names.get(group, group)}"):
                self._pip("-r", self.locks / f"{group}.txt")
        with self._stages.stage("Installing Finetune Studio"):
            self._pip("--no-deps", "--no-build-isolation", "-e", self.root)
        stamp = {
            "groups": {group: self._fingerprint(group) for group in groups},
            "files": inventory.snapshot(site),
        }
        _write_whole(self._stamp, json.dumps(stamp))

    def _make(self) -> None:
        """An environment whose Python runs and is of our version, new where need be."""
        probe = "import pip, sys; print(sys.version_info[:2])"
        if self.python.exists():
            with contextlib.suppress(OSError):
                done = subprocess.run([self.python, "-c", probe], capture_output=True, text=True)
                if done.stdout.strip() == str(sys.version_info[:2]):
                    return
        with self._stages.stage("Making a private Python environment"):
            base = getattr(sys, "_base_executable", sys.executable)
            done = subprocess.run(
                [base, "-m", "venv", "--clear", self.venv], capture_output=True, text=True
            )
        if done.returncode:
            raise _no_venv(done.stdout + done.stderr)

    def _mend(self, site: Path) -> None:
        """Install again what an interrupted run, or anything else, left in pieces."""
        inventory.sweep(site)
        pins = self._pins()
        broken = [name for name in inventory.damaged(site) if name in pins and name != "torch"]
        if broken:
            with self._stages.stage(f"Repairing {', '.join(broken)}"):
                self._pip("--ignore-installed", "--no-deps", *(pins[name] for name in broken))

    def _install_torch(self, site: Path) -> None:
        """First of all that needs torch: anything else would pull a build of its own choice."""
        pin, card = self._pins()["torch"], torch_build.card_seen()
        version = inventory.installed(site).get("torch", "")
        whole = "torch" not in inventory.damaged(site)
        if whole and torch_build.fits(site, version, pin, card):
            return
        words = "for this machine's NVIDIA card" if card else "for this machine's processor"
        with self._stages.stage(f"Installing PyTorch {pin.partition('==')[2]} {words}"):
            if version:
                _remove(site, "torch")
            self._fetch_torch(pin, card)
        if card and not torch_build.for_cards(site):
            note("PyTorch's own index can't be reached, so this build doesn't use the card.")
            note(f"With a connection to it, delete {self.venv} and run this again.")

    def _fetch_torch(self, pin: str, card: bool) -> None:
        reachable = torch_build.index_reachable()
        try:
            for command in torch_build.commands(self.python, pin, card, reachable):
                self._stages.run(command)
        except SetUpError:
            if not reachable:
                raise
            for command in torch_build.commands(self.python, pin, card, False):
                self._stages.run(command)

    def _pip(self, *arguments: str | Path) -> None:
        pip: list[str | Path] = [self.python, "-m", "pip", "install", "--no-input"]
        pip += ["--progress-bar", "off", "-c", self.locks / "torch.txt"]
        self._stages.run([*pip, *arguments])

    def _pins(self) -> dict[str, str]:
        """Name to `name==version`, from every lock."""
        lines = [
            line.partition(";")[0].strip()
            for lock in sorted(self.locks.glob("*.txt"))
            for line in lock.read_text("utf-8").splitlines()
        ]
        return {inventory.normal(x.partition("==")[0]): x for x in lines if "==" in x}

    def _fingerprint(self, group: str) -> str:
        """Changes when what is to be installed changes, or the machine it was chosen for."""
        facts = [str(sys.version_info[:2]), platform.machine(), str(self.root)]
        facts += [str(torch_build.driver_installed())]
        facts += [(self.locks / f"{name}.txt").read_text("utf-8") for name in ("torch", group)]
        project = tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))
        facts += [json.dumps([project["project"], project["build-system"]])]
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.root).free
        if free < ROOM and not self.venv.exists():
            text = f"Only {free / 1e9:.1f} GB are free on the disk, and set-up wants 3 to work in."
            raise SetUpError(text, f"Free some room, then {AGAIN}")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One set-up of a clone at a time; a second one waits for the first."""
        lock = Lock(self.root / ".venv.lock")
        waiting = False
        while not lock.acquire():
            if not waiting:
                note("Another set-up of this clone is under way; waiting for it.")
            waiting = True
            time.sleep(0.1)
        try:
            yield
        finally:
            lock.release()


def _no_venv(output: str) -> SetUpError:
    if "ensurepip" in output:
        text = "This Python can't make environments: its venv module comes as a package of its own."
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        return SetUpError(text, f"Type: sudo apt-get install -y {package}  Then {AGAIN}")
    text = f"Python could not make an environment:\n{output.strip()}"
    return SetUpError(text, f"Check that the clone's folder can be written to, then {AGAIN}")


def _remove(site: Path, name: str) -> None:
    for folder in [site / name, *site.glob(f"{name}-*.dist-info")]:
        shutil.rmtree(folder, ignore_errors=True)


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
