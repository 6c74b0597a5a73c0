"""Reports and prepared rows that are made once, and again as soon as anything they hang on differs.

The key of what is kept is a digest of every byte that it was made from: the files of the dataset,
the settings, the tokenizer, the template, and the code itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from studio.core.errors import StudioError
from studio.core.facts import DatasetReport, Prepared
from studio.core.recipe import DataPart, DatasetPart
from studio.library import chat_templates, datasets
from studio.library.files import sweep_partials, whole_folder
from studio.library.folders import Home, JobFolder
from studio.preparer import digests, pieces
from studio.preparer.cache import Cache
from studio.preparer.digests import Identity
from studio.preparer.progress import Tell, Throttled
from studio.preparer.sources import files_of

_REPORT = "report.json"
_MANIFEST = "manifest.json"


class Made(NamedTuple):
    """What something is made from: its key, and the files as they were before it was taken."""

    key: str
    files: dict[Path, Identity]
    settled: bool

    def stands(self) -> bool:
        """Whether nobody can have written to the files or folders since."""
        try:
            return self.settled and all(
                digests.identity(path) == before for path, before in self.files.items()
            )
        except OSError:
            return False


def cache_of(home: Home) -> Cache:
    """Where a home keeps them."""
    return Cache(home.cache / "prepared")


def report(
    cache: Cache,
    parts: Sequence[DatasetPart],
    model: Path | None,
    data: DataPart,
    seed: int,
    make: Callable[[], DatasetReport],
    tell: Tell,
) -> DatasetReport:
    """The report that `make` gives, kept from an earlier time where nothing differs."""
    made = _made_from("report", parts, model, data, seed, Throttled(tell))
    if made and (entry := cache.find(made.key)):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((entry / _REPORT).read_bytes(), type=DatasetReport)
    found = make()
    if made and made.stands():
        content = msgspec.json.encode(found)
        cache.keep(made.key, lambda folder: _write(folder / _REPORT, content))
    return found


def prepared(
    cache: Cache,
    folder: Path,
    parts: Sequence[DatasetPart],
    model: Path,
    data: DataPart,
    seed: int,
    make: Callable[[], Prepared],
    tell: Tell,
) -> Prepared:
    """The data folder of a run as `make` writes it, kept from an earlier time where nothing
    differs: the same files under two names."""
    tell = Throttled(tell)
    made = _made_from("rows", parts, model, data, seed, tell)
    if made and (entry := cache.find(made.key, tell)):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return _linked_run(entry, folder)
    found = make()
    if made and made.stands():
        rows = JobFolder(folder).data
        cache.keep(made.key, lambda target: _link_all(rows, target), tell)
    return found


def _linked_run(entry: Path, folder: Path) -> Prepared:
    sweep_partials(folder)
    with whole_folder(JobFolder(folder).data) as rows:
        _link_all(entry, rows)
        return msgspec.json.decode((rows / _MANIFEST).read_bytes(), type=Prepared)


def _link_all(source: Path, target: Path) -> None:
    """The rows under a second name, the small files as copies."""
    for path in source.glob("*.arrow"):
        os.link(path, target / path.name)
    shutil.copyfile(source / _MANIFEST, target / _MANIFEST)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _made_from(
    what: str,
    parts: Sequence[DatasetPart],
    model: Path | None,
    data: DataPart,
    seed: int,
    tell: Tell,
) -> Made | None:
    """Nothing where it can't be told, which the making itself will say."""
    code = digests.of_code()
    if not code:
        return None
    try:
        files: dict[Path, Identity] = {}
        texts = [what, code, msgspec.json.encode(data).decode(), str(seed)]
        for part in parts:
            texts += _of_part(part, files, tell)
        if model is not None:
            texts += _of_model(model, data.template, files)
        settled = all(one.settled for one in files.values())
        return Made(digests.of_texts(*texts), files, settled)
    except (StudioError, OSError, UnicodeError):
        return None


def _of_model(model: Path, template: str, files: dict[Path, Identity]) -> list[str]:
    read = [*digests.files_of_model(model), *filter(Path.is_file, [Path(template).expanduser()])]
    files |= {path: digests.identity(path) for path in read}
    return [digests.of_model(model), chat_templates.chosen(model, template).text]


def _of_part(part: DatasetPart, files: dict[Path, Identity], tell: Tell) -> list[str]:
    path = datasets.resolve(part)
    files |= {one: digests.identity(one) for one in _says_which(path)}
    found = files_of(path, part)
    names = [pieces.name_of(part), pieces.revision_of(part), str(datasets.score_rows(part))]
    texts = [msgspec.json.encode(part).decode(), str(path), *names]
    read: dict[Path, str] = {}
    for aside, some in enumerate((found.train, found.evaluation)):
        for file in some:
            if file.path not in read:
                files[file.path] = digests.identity(file.path)
                read[file.path] = digests.of_file(file.path, tell)
            texts.append(f"{aside} {file.path} {file.member} {file.label} {read[file.path]}")
    return texts


def _says_which(path: Path) -> Iterator[Path]:
    """The folders whose names decide on what is data, and the files that do."""
    if path.is_dir():
        yield path
        for one in path.rglob("*"):
            if one.name in ("README.md", "state.json", "studio.json") or one.is_dir():
                yield one
