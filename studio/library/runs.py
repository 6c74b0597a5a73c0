"""The runs on disk: create, list, find, rename, delete."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from studio.core import problems
from studio.core.commands import Train
from studio.core.errors import StudioError
from studio.core.recipe import Recipe, to_yaml
from studio.core.run_state import RunState, allowed, replay
from studio.library import jobs, locks, trash
from studio.library.files import PARTIAL, add_folder, remove_folder, write_whole
from studio.library.folders import Home, JobFolder, legal_name
from studio.library.locks import Lock


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run, or one living job of another kind. `living`: an engine is at work on it."""

    path: Path
    name: str
    kind: str
    state: RunState
    living: bool


def create(home: Home, recipe: Recipe) -> Path:
    """A new run's folder, whole or not there: recipe.yaml, job.json and the first event."""
    model = Path(recipe.model.path).name or "model"
    name = legal_name(recipe.name or f"{model}-{recipe.method}", "run")

    def write(folder: Path) -> None:
        write_whole(JobFolder(folder).recipe, to_yaml(recipe))
        jobs.create(home, Train(), folder)

    return add_folder(home.runs, name, write)


@contextlib.contextmanager
def preparing(folder: Path) -> Iterator[None]:
    """While a run's rows are being prepared; where that fails, nothing is left of the run."""
    places = JobFolder(folder)
    lock = Lock(places.preparing)
    lock.acquire()
    try:
        yield
    except BaseException:
        lock.release()
        remove_folder(folder)
        raise
    lock.release()
    places.preparing.unlink(missing_ok=True)


def sweep_unprepared(home: Home) -> None:
    """Delete the runs without rows whose client was killed while it prepared them."""
    for folder in _folders(home.runs):
        places = JobFolder(folder)
        with contextlib.suppress(OSError):
            begun = places.preparing.exists() and not places.manifest.exists()
            if begun and not locks.held(places.preparing) and not jobs.living(folder):
                remove_folder(folder)


def recipe_of(folder: Path) -> Recipe:
    """The recipe of a run; StudioError where it can't be read."""
    try:
        data = yaml.safe_load(JobFolder(folder).recipe.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(folder, str(error).splitlines()[0]) from error
    recipe, found = problems.read(data)
    if recipe is None:
        raise _unreadable(folder, found[0].text if found else "it is empty")
    return recipe


def listing(home: Home) -> list[RunRow]:
    """All runs and all living jobs, the newest first."""
    rows = [row for path in _folders(home.runs) if (row := _row(path))]
    rows += [row for path in _folders(home.jobs) if (row := _row(path)) and row.living]
    return sorted(rows, key=lambda row: row.state.created_at, reverse=True)


def state_of(folder: Path) -> RunState:
    """Where the run stands; reads only what its log gained since the last call."""
    return _states.of(folder)


def startable(folder: Path) -> RunState:
    """The state of a run that can be started or taken up again; StudioError for any other."""
    jobs.refuse_newer(folder)
    state = state_of(folder)
    if "resume" not in allowed(state):
        ended = {"finished": "is finished", "cancelled": "was cancelled"}
        raise StudioError(
            "Nothing to resume",
            f"“{folder.name}” {ended.get(state.state, f'is {state.state}')}.",
            "Start a new run with a recipe that trains longer.",
        )
    if not JobFolder(folder).manifest.is_file():
        raise StudioError(
            "The run was never prepared",
            f"“{folder.name}” has no tokenized rows; preparing it was cut short.",
            f"Start again with: finetune-studio train {JobFolder(folder).recipe}",
        )
    return state


def find(home: Home, text: str) -> Path:
    """The folder that a name, a path or the unique beginning of a name means."""
    given = Path(text).expanduser()
    if JobFolder(given).job.is_file():
        return given.absolute()
    folders = [*_folders(home.runs), *_folders(home.jobs)]
    for fits in (str.__eq__, str.startswith):
        found = [path for path in folders if text and fits(path.name, text)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found[:5])
            raise StudioError(
                "More than one run fits", f"“{text}” could be {names}.", "Give the whole name."
            )
    raise StudioError(
        "No such run", f"There is no run “{text}”.", "List them with “finetune-studio runs”."
    )


def rename(home: Home, path: Path, name: str) -> Path:
    """Give a run's folder another name; StudioError where it runs or the name is taken."""
    _refuse_living(path, "renamed")
    jobs.refuse_newer(path)
    target = home.runs / legal_name(name, "run")
    if target.exists():
        raise StudioError(
            "Name is taken", f"There is a run “{target.name}” already.", "Choose another name."
        )
    path.rename(target)
    return target


def delete(home: Home, path: Path) -> trash.Trashed:
    """Move a run to the trash, from where it can be restored; StudioError while it runs."""
    _refuse_living(path, "deleted")
    jobs.refuse_newer(path)
    return trash.put(home, path)


class _States:
    """The state of each log and how far it was read; logs only ever grow."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int], tuple[int, RunState]] = {}
        self._lock = threading.Lock()

    def of(self, folder: Path) -> RunState:
        log = JobFolder(folder).events
        key = (log, log.stat().st_ino if log.exists() else 0)
        with self._lock:
            offset, state = self._known.get(key, (0, RunState()))
            found, end = jobs.read_events(folder, offset)
            state = replay(found, state)
            self._known[key] = (end, state)
            return state


_states = _States()


def _row(path: Path) -> RunRow | None:
    try:
        state = state_of(path)
        living = jobs.living(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        state, living = _unreadable_state(path, error), False
    return RunRow(path=path, name=path.name, kind=state.kind, state=state, living=living)


def _unreadable_state(path: Path, error: OSError) -> RunState:
    return RunState(
        state="failed",
        kind="train",
        title="The run can't be read",
        text=f"Its folder {path} can't be opened ({error.strerror or error}).",
        fix="Make it readable.",
    )


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(
        path
        for path in parent.iterdir()
        if not path.name.startswith(PARTIAL) and JobFolder(path).job.is_file()
    )


def _refuse_living(path: Path, done: str) -> None:
    if jobs.living(path):
        raise StudioError(
            "The run is at work",
            f"“{path.name}” can't be {done} while it is running.",
            "Stop or cancel it first.",
        )


def _unreadable(folder: Path, why: str) -> StudioError:
    return StudioError(
        "The recipe can't be read",
        f"recipe.yaml of “{folder.name}” is broken: {why}.",
        "Restore the file, or start a new run.",
    )
