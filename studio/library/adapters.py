"""Adapters on disk: PEFT's files with a studio.json beside them that says where they came from."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.core.facts import ModelFacts
from studio.core.upgrades import Newer
from studio.library import adapter_files, formats, models, trash
from studio.library.files import PARTIAL, add_folder, same_files, write_whole
from studio.library.folders import Home, legal_name

FACTS_FILE = "studio.json"


class AdapterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the library knows of one adapter.

    `base` is the model's folder or name as it was recorded, `base_digest` its content. `lineage`
    names the adapters this one came from. `created_at` is seconds since the epoch, losses are
    nats a token. `imported` says that it was made elsewhere: nothing in it is taken for a path.
    `problem` is why it can't be used, empty if it can.
    """

    path: str = ""
    name: str = ""
    base: str = ""
    base_digest: str = ""
    method: str = ""
    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ()
    dataset: str = ""
    train_loss: float | None = None
    eval_loss: float | None = None
    created_at: float = 0.0
    bytes: int = 0
    run: str = ""
    lineage: tuple[str, ...] = ()
    imported: bool = False
    problem: str = ""

    @property
    def base_name(self) -> str:
        """The last part of the base's folder or hub id, for people to read."""
        return _last(self.base)


def listing(home: Home) -> list[AdapterFacts]:
    """Every adapter of the library, the latest first; broken ones with their `problem`."""
    if not home.adapters.is_dir():
        return []
    folders = [
        path
        for path in home.adapters.iterdir()
        if path.is_dir() and not path.name.startswith(PARTIAL)
    ]
    return sorted((_facts_or_problem(folder) for folder in folders), key=lambda a: -a.created_at)


def facts(folder: Path) -> AdapterFacts:
    """The facts of any PEFT adapter folder, in the library or not.

    Raises StudioError when the folder is no usable adapter.
    """
    config = adapter_files.read_config(folder)
    adapter_files.read_tensors(folder)
    known = _read_facts(folder) or AdapterFacts(base=config.base, imported=True)
    return msgspec.structs.replace(
        known,
        path=str(folder),
        name=known.name or folder.name,
        base=known.base or config.base,
        method=known.method or config.method,
        rank=config.rank,
        alpha=config.alpha,
        targets=config.targets,
        created_at=known.created_at or (folder / adapter_files.CONFIG).stat().st_mtime,
        bytes=adapter_files.size(folder),
    )


def find(home: Home, text: str) -> Path:
    """The adapter folder that a name, a path or else a folder's name stands for.

    Raises StudioError when there is none.
    """
    rows = listing(home)
    for named in (lambda row: row.name, lambda row: row.path, lambda row: Path(row.path).name):
        for row in rows:
            if named(row) == text:
                return Path(row.path)
    if (Path(text) / adapter_files.CONFIG).is_file():
        return Path(text)
    names = ", ".join(row.name for row in rows[:5]) or "none yet"
    raise StudioError(
        "No such adapter",
        f"There is no adapter called {text} and no adapter folder of that path.",
        f"Adapters in the library: {names}.",
    )


def add(home: Home, source: Path, name: str, known: AdapterFacts) -> Path:
    """Publish a finished adapter folder in the library, whole or not at all.

    `known` says what PEFT's files don't: base, method, dataset, losses, run. Returns the
    adapter's folder: the one that is there already where the same run published the same
    weights before. Raises StudioError when `source` is no adapter.
    """
    adapter_files.read_config(source)
    adapter_files.read_tensors(source)
    if standing := _published(home, source, known.run):
        return standing
    title = _free_name(home, name or source.name)

    def write(folder: Path) -> None:
        for file in adapter_files.belonging(source):
            shutil.copyfile(file, folder / file.name)
        stamped = msgspec.structs.replace(
            known, path="", name=title, created_at=known.created_at or time.time()
        )
        _write_facts(folder, stamped)

    return add_folder(home.adapters, legal_name(title, "adapter"), write)


def import_folder(home: Home, source: Path) -> Path:
    """Copy an adapter made elsewhere into the library.

    `source` is a PEFT folder or a file inside it. Only the files of an adapter are copied, and
    no path or model named in them is opened. Raises StudioError when it is no usable adapter.
    """
    folder = source.parent if source.is_file() else source
    found = facts(folder)
    if folder.absolute().parent == home.adapters.absolute():
        raise StudioError(
            "Already in the library",
            f"{found.name} is an adapter of this library.",
            "Choose a folder that lies elsewhere.",
        )
    named = msgspec.structs.replace(found, imported=True, run="", created_at=time.time())
    return add(home, folder, found.name, named)


def rename(home: Home, folder: Path, name: str) -> AdapterFacts:
    """Give an adapter another name; its folder stays where it is.

    Raises StudioError when the name is empty or another adapter has it.
    """
    wanted = name.strip()
    if not wanted:
        raise StudioError("No name", "An adapter needs a name.", "Type one.")
    now = facts(folder)
    if any(row.name == wanted and row.path != now.path for row in listing(home)):
        raise StudioError(
            "Name taken", f"Another adapter is called {wanted}.", "Choose another name."
        )
    renamed = msgspec.structs.replace(now, name=wanted)
    _write_facts(folder, msgspec.structs.replace(renamed, path=""))
    return renamed


def delete(home: Home, folder: Path) -> trash.Trashed:
    """Move an adapter of the library to the trash; `restore` takes what this returns.

    Raises StudioError when the folder isn't an adapter of this library, Newer when a newer
    studio made it.
    """
    _read_facts(folder)
    if folder.absolute().parent != home.adapters.absolute():
        raise StudioError(
            "Not in the library",
            f"{folder} isn't an adapter of this library, so it isn't deleted.",
            "Delete it where it was made.",
        )
    return trash.put(home, folder)


def restore(home: Home, entry: trash.Trashed) -> Path:
    """Take a deleted adapter back out of the trash. Raises StudioError if it is gone."""
    home.adapters.mkdir(parents=True, exist_ok=True)
    return trash.restore(entry)


def base_of(home: Home, known: AdapterFacts) -> Path:
    """The model folder that this adapter belongs on: by content, else by path, else by name.

    A path recorded by somebody else is compared with the models that are there, never opened.
    Raises StudioError when no such model is there, or the only one of that name has other shapes.
    """
    here = [model for model in models.listing(home) if not _broken(model)]
    for model in here:
        if known.base_digest and model.digest == known.base_digest:
            return Path(model.path)
    ours = not known.imported and Path(known.path).absolute().is_relative_to(home.root.absolute())
    if ours and known.base and (Path(known.base) / "config.json").is_file():
        return _fitting(known, Path(known.base))
    for model in here:
        if known.base and known.base in (model.path, model.name):
            return _fitting(known, Path(model.path))
    for model in here:
        if known.base_name and known.base_name in (Path(model.path).name, _last(model.name)):
            return _fitting(known, Path(model.path))
    raise StudioError(
        "Base model not here",
        f"{known.name} was trained on {known.base_name or 'a model it does not name'}, "
        "which isn't among the models of this machine.",
        "Download or import that model, or name its folder as the base.",
    )


def trained_elsewhere(folder: Path, base: Path) -> str:
    """A warning where the adapter was trained on another model of the same shapes, else ""."""
    known = facts(folder)
    if not known.base_digest or known.base_digest == models.inspect(base).digest:
        return ""
    return (
        f"{known.name} was trained on {known.base_name or 'another model'}, whose weights or "
        f"settings are not those of {base.name}: what comes of it may make no sense."
    )


def _published(home: Home, source: Path, run: str) -> Path | None:
    """An engine that died after publishing publishes again when the run is taken up."""
    for row in listing(home) if run else ():
        if row.run == run and same_files(source, Path(row.path), "*.safetensors"):
            return Path(row.path)
    return None


def _fitting(known: AdapterFacts, base: Path) -> Path:
    adapter_files.check_shapes(Path(known.path), base)
    return base


def _broken(model: ModelFacts) -> bool:
    return any(problem.severity == "error" for problem in model.problems)


def _last(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _facts_or_problem(folder: Path) -> AdapterFacts:
    try:
        return facts(folder)
    except StudioError as error:
        known = AdapterFacts()
        with contextlib.suppress(Newer):
            known = _read_facts(folder) or known
        return msgspec.structs.replace(
            known,
            path=str(folder),
            name=known.name or folder.name,
            problem=f"{error.text} {error.fix}".strip(),
        )


def _read_facts(folder: Path) -> AdapterFacts | None:
    what = f"The adapter {folder.name}"
    try:
        return formats.decode("adapter", (folder / FACTS_FILE).read_bytes(), AdapterFacts, what)
    except (OSError, ValueError):
        return None


def _write_facts(folder: Path, known: AdapterFacts) -> None:
    write_whole(folder / FACTS_FILE, formats.encode("adapter", known))


def _free_name(home: Home, name: str) -> str:
    taken = {row.name for row in listing(home)}
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name} {number}", number + 1
    return wanted
