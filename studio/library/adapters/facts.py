"""What is known of one adapter: PEFT's files, and studio.json beside them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from studio.core.errors import StudioError
from studio.core.upgrades import Newer
from studio.library import adapter_files, formats
from studio.library.files import write_whole

FACTS_FILE = "studio.json"
MOST_BYTES = 10_000_000


class BaseTold(msgspec.Struct, frozen=True, kw_only=True):
    """What the base was like, for saying how another model differs from it."""

    model_type: str = ""
    layers: int = 0
    hidden_size: int = 0
    vocabulary: int = 0
    parameters: int = 0
    dtype: str = ""


How = Literal["resumed", "mixed"]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter that this one came from: its name then, its folder's name in the library, and
    the weight that it had in a mixture."""

    name: str
    folder: str = ""
    how: How = "mixed"
    weight: float | None = None


Kind = Literal["merged", "exported"]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A model or file that was made of this adapter. `format` is that of an export (gguf, onnx),
    `grade` its passport's, empty where it was not checked; `time` is seconds since the epoch."""

    kind: Kind
    path: str
    format: str = ""
    grade: str = ""
    time: float = 0.0


class AdapterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the library knows of one adapter.

    `base` is the model's folder or name as it was recorded, `base_digest` its content and
    `base_told` what it was like; `located` is the folder that the user of this machine named.
    `variants` are what its LoRA is beyond a plain one (rsLoRA, rank pattern, …). `lineage` is
    where it came from, `mixture` how it was mixed (method and its settings), `made` what was made
    of it. `created_at` is seconds since the epoch, losses are nats a token. `imported` says that
    it was made elsewhere: nothing in it is taken for a path. `problem` is why it can't be used,
    empty if it can.
    """

    path: str = ""
    name: str = ""
    base: str = ""
    base_digest: str = ""
    base_told: BaseTold = BaseTold()
    located: str = ""
    method: str = ""
    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    dataset: str = ""
    train_loss: float | None = None
    eval_loss: float | None = None
    created_at: float = 0.0
    bytes: int = 0
    run: str = ""
    lineage: tuple[Origin, ...] = ()
    mixture: dict[str, Any] = {}
    made: tuple[Made, ...] = ()
    notes: str = ""
    tags: tuple[str, ...] = ()
    imported: bool = False
    problem: str = ""

    @property
    def base_name(self) -> str:
        """The last part of the base's folder or hub id, for people to read."""
        return last_part(self.base)

    @property
    def loss(self) -> float | None:
        """Held-out loss where there is one, else training loss."""
        return self.train_loss if self.eval_loss is None else self.eval_loss

    @property
    def mixed_by(self) -> str:
        """How it was mixed, in a line; "" where it wasn't."""
        return ", ".join(f"{name} {value}" for name, value in self.mixture.items())

    @property
    def folder(self) -> str:
        """The name of its folder in the library, which renaming leaves as it is."""
        return Path(self.path).name


def facts(folder: Path) -> AdapterFacts:
    """The facts of any PEFT adapter folder, in the library or not.

    Raises StudioError when the folder is no usable adapter.
    """
    config = adapter_files.read_config(folder)
    adapter_files.read_tensors(folder)
    known = recorded(folder) or AdapterFacts(base=config.base, imported=True)
    return msgspec.structs.replace(
        known,
        path=str(folder),
        name=known.name or folder.name,
        base=known.base or config.base,
        method=known.method or config.method,
        rank=config.rank,
        alpha=config.alpha,
        targets=config.targets,
        variants=config.variants,
        created_at=known.created_at or (folder / adapter_files.CONFIG).stat().st_mtime,
        bytes=adapter_files.size(folder),
        problem="",
    )


def facts_or_problem(folder: Path) -> AdapterFacts:
    """The same; an adapter that can't be used says why."""
    try:
        return facts(folder)
    except StudioError as error:
        known = AdapterFacts()
        with contextlib.suppress(Newer):
            known = recorded(folder) or known
        return msgspec.structs.replace(
            known,
            path=str(folder),
            name=known.name or folder.name,
            problem=f"{error.text} {error.fix}".strip(),
        )


def recorded(folder: Path) -> AdapterFacts | None:
    """What studio.json says; None without one that can be read. Raises Newer."""
    what, file = f"The adapter {folder.name}", folder / FACTS_FILE
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        return formats.decode("adapter", file.read_bytes(), AdapterFacts, what)
    except (OSError, ValueError):
        return None


def record(folder: Path, known: AdapterFacts) -> None:
    """Write studio.json; where the folder lies is not part of it."""
    write_whole(
        folder / FACTS_FILE,
        formats.encode("adapter", msgspec.structs.replace(known, path="", problem="")),
    )


def last_part(name: str) -> str:
    """The last part of a folder's path, of whatever system, or of a hub id; of a snapshot in the
    hub's cache the model's name.

    >>> last_part("/cache/hub/models--Qwen--Qwen3-4B/snapshots/1cfa9a7")
    'Qwen3-4B'
    """
    parts = name.replace("\\", "/").rstrip("/").split("/")
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return parts[-3].rpartition("--")[2]
    return parts[-1]
