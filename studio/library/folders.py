"""The one folder under which everything lies that the studio writes."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from studio.core.upgrades import FORMATS, refuse_newer
from studio.library.files import write_whole

ENVIRONMENT = "FINETUNE_STUDIO_HOME"


class _Stamp(msgspec.Struct):
    format: int = 0


@dataclass(frozen=True)
class Home:
    """Where things are under one home folder."""

    root: Path

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def jobs(self) -> Path:
        """Folders of the jobs that are no runs: chats, merges, imports, scores."""
        return self.root / "jobs"

    @property
    def datasets(self) -> Path:
        """The studio's own sets of rows, each a folder."""
        return self.root / "datasets"

    @property
    def chats(self) -> Path:
        """Conversations, a file each."""
        return self.root / "chats"

    @property
    def exports(self) -> Path:
        """What is known of exports, each a folder: numbers, and examples that stay here."""
        return self.root / "exports"

    @property
    def trash(self) -> Path:
        return self.root / "trash"

    @property
    def drafts(self) -> Path:
        return self.root / "drafts"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def keeper(self) -> Path:
        return self.root / "keeper"

    @property
    def settings(self) -> Path:
        return self.root / "settings.json"

    @property
    def serve_key(self) -> Path:
        """Readable by its owner alone."""
        return self.root / "serve.key"

    @property
    def queue(self) -> Path:
        return self.root / "queue.json"

    @property
    def calibrations(self) -> Path:
        """What was measured on this machine against the arithmetic."""
        return self.root / "calibrations.json"

    @property
    def speeds(self) -> Path:
        """How fast this machine was measured to train."""
        return self.root / "speeds.json"

    @property
    def seen_cards(self) -> Path:
        """The cards that NVML can't see, as an engine saw them."""
        return self.cache / "cards.json"

    @property
    def stamp(self) -> Path:
        """Says which format the home is of."""
        return self.root / "studio.json"

    def make(self) -> Home:
        """Create what is missing; the keeper's folder is readable by its owner alone.

        Raises Newer, and writes nothing, where a newer studio made the home.
        """
        format = self._format()
        refuse_newer("home", format, f"The studio's folder {self.root}")
        for folder in (self.models, self.adapters, self.runs, self.jobs, self.keeper, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        if os.name == "posix":
            self.keeper.chmod(0o700)
        if format < FORMATS["home"]:
            write_whole(self.stamp, msgspec.json.encode({"format": FORMATS["home"]}))
        return self

    def _format(self) -> int:
        """0 for a home that doesn't say."""
        try:
            return msgspec.json.decode(self.stamp.read_bytes(), type=_Stamp).format
        except (FileNotFoundError, ValueError):
            return 0


@dataclass(frozen=True)
class JobFolder:
    """Where things are in the folder of one job; a run's folder is one of these."""

    path: Path

    @property
    def job(self) -> Path:
        return self.path / "job.json"

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def commands(self) -> Path:
        return self.path / "commands.jsonl"

    @property
    def engine_log(self) -> Path:
        return self.path / "engine.log"

    @property
    def lock(self) -> Path:
        """Held by the living engine."""
        return self.path / "engine.lock"

    @property
    def preparing(self) -> Path:
        """Held by the client that prepares the rows, and gone once they are there."""
        return self.path / "preparing.lock"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def manifest(self) -> Path:
        """There once the rows are."""
        return self.data / "manifest.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def decided(self) -> Path:
        """What was decided on this machine: dtype, threads, kernels, micro-batch."""
        return self.path / "decided.json"


def default_root() -> Path:
    """FINETUNE_STUDIO_HOME, or the platform's folder for a program's data."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "FinetuneStudio"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/FinetuneStudio"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data) / "finetune-studio"


_RESERVED = {"con", "prn", "aux", "nul"} | {f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10)}


def legal_name(text: str, fallback: str = "unnamed") -> str:
    """A file name that every system takes, close to the text."""
    name = re.sub(r"[^\w.+-]+", "-", text, flags=re.UNICODE).strip("-. ")[:80].rstrip("-. ")
    if not name:
        return fallback
    return f"{name}-" if name.split(".")[0].lower() in _RESERVED else name


def free_path(folder: Path, name: str) -> Path:
    """`folder/name`, or with -2, -3, … where that is taken."""
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name}-{number}", number + 1
    return path
