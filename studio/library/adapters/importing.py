"""Adapters made elsewhere, copied in: PEFT folders, archives of them, GGUF adapters."""

from __future__ import annotations

import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from studio.core.errors import StudioError
from studio.library import adapter_files
from studio.library.adapters import bases, coherence, gguf_lora
from studio.library.adapters.facts import FACTS_FILE, AdapterFacts, facts
from studio.library.adapters.lineage import in_library
from studio.library.adapters.shelf import add
from studio.library.files import remove_folder, temporary_folder
from studio.library.folders import Home
from studio.library.targets import check_space

ARCHIVE, GGUF = ".zip", ".gguf"
MOST_FILES, MOST_BYTES = 10_000, 32 << 30
_CHUNK = 1 << 20
_WORKSHOP = "import"
"""What a folder to unpack into is called, on the disk of the home."""
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
    FileExistsError, IsADirectoryError, NotADirectoryError,
)  # fmt: skip
"""What an archive can come to that is broken, locked, or has a file where it has a folder."""


def import_path(home: Home, source: Path, base: Path | None = None) -> list[Path]:
    """Copy what adapters lie at a path into the library; their folders there.

    `source` is a PEFT folder or a file inside it, a zip archive of such folders, or a GGUF
    adapter. `base` is the model it belongs on, which a GGUF adapter is read by; without it that is
    looked for on this machine. Only the files of an adapter are copied, and no path or model named
    in them is opened. Raises StudioError, with all reasons at once, where there is no adapter that
    can be used; of an archive either all come or none.
    """
    source = source.expanduser()
    suffix = source.suffix.lower() if source.is_file() else ""
    if suffix == ARCHIVE:
        return _import_archive(home, source, base)
    if suffix == GGUF:
        with temporary_folder(home.cache / _WORKSHOP) as place:
            folder = gguf_lora.convert(home, source, place / source.stem, base)
            return [_bring(home, folder, base)]
    return [import_folder(home, source, base)]


def import_folder(home: Home, source: Path, base: Path | None = None) -> Path:
    """Copy a PEFT folder, or the one that a file lies in, into the library. See `import_path`."""
    folder = source.parent if source.is_file() else source
    if in_library(home, folder):
        raise StudioError(
            "Already in the library",
            f"{facts(folder).name} is an adapter of this library.",
            "Choose a folder that lies elsewhere.",
        )
    return _bring(home, folder, base)


def _bring(home: Home, folder: Path, base: Path | None) -> Path:
    found = _checked(folder)
    known = msgspec.structs.replace(
        found, imported=True, run="", located="", made=(), lineage=(), created_at=time.time()
    )
    if base is not None:
        known = msgspec.structs.replace(known, **bases.bound(known, base))
    elif not known.base_digest:
        known = msgspec.structs.replace(known, **bases.recognised(home, known))
    return add(home, folder, found.name, known)


def _checked(folder: Path) -> AdapterFacts:
    found = facts(folder)
    coherence.check(folder)
    return found


def _import_archive(home: Home, source: Path, base: Path | None) -> list[Path]:
    with temporary_folder(home.cache / _WORKSHOP) as place:
        folders = _unpacked(source, place)
        errors = [error for folder in folders if (error := _refusal(folder))]
        if errors:
            raise _none_of(source, errors)
        return _bring_all(home, folders, base)


def _bring_all(home: Home, folders: list[Path], base: Path | None) -> list[Path]:
    brought: list[Path] = []
    try:
        for folder in folders:
            brought.append(_bring(home, folder, base))
    except BaseException:
        for path in brought:
            remove_folder(path)
        raise
    return brought


def _refusal(folder: Path) -> StudioError | None:
    try:
        _checked(folder)
    except StudioError as error:
        return error
    return None


def _unpacked(source: Path, place: Path) -> list[Path]:
    """The adapter folders of an archive, with the files of adapters and no others."""
    try:
        with zipfile.ZipFile(source) as archive:
            found = list(_members(source, archive))
            check_space(place, sum(info.file_size for info, _ in found))
            for info, name in found:
                _copy(archive, info, place / name)
    except _DAMAGED as error:
        raise StudioError(
            "Archive can't be read",
            f"{source.name} is damaged or locked ({error}).",
            "Unpack it yourself, and import the folder.",
        ) from error
    folders = sorted({path.parent for path in place.rglob(adapter_files.CONFIG)})
    if not folders:
        raise StudioError(
            "No adapter in it",
            f"{source.name} has no folder with {adapter_files.CONFIG} in it.",
            "Choose an archive of a PEFT adapter's folder.",
        )
    return folders


def _members(source: Path, archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, Path]]:
    """Which files to unpack, and where to below a place that this archive has for itself."""
    every = archive.infolist()
    size = sum(info.file_size for info in every)
    if len(every) > MOST_FILES or size > MOST_BYTES:
        raise StudioError(
            "Archive is too large",
            f"{source.name} unpacks to {len(every):,} files and {size / 1e9:,.1f} GB.",
            "Unpack it yourself, and import the folder.",
        )
    for info in every:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in info.filename:
            raise StudioError(
                "Archive leads out of itself",
                f"{source.name} names a file outside of it ({info.filename[:80]}).",
                "Get the adapter from a source you trust.",
            )
        if not info.is_dir() and path.name in (*adapter_files.KNOWN_FILES, FACTS_FILE):
            top = path.parent if path.parent.name else PurePosixPath(source.stem)
            yield info, Path(*top.parts, path.name)


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """No more than was promised, whatever the stream goes on to say."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    with archive.open(info) as packed, target.open("wb") as out:
        while left > 0 and (chunk := packed.read(min(_CHUNK, left))):
            out.write(chunk)
            left -= len(chunk)


def _none_of(source: Path, errors: list[StudioError]) -> StudioError:
    if len(errors) == 1:
        return errors[0]
    text = " ".join(error.text for error in errors)
    return StudioError(
        "Adapters that can't be used",
        f"Of those in {source.name} {len(errors)} can't be used, so none was taken: {text}",
        "Unpack it yourself, and import the folders that are sound.",
        [problem for error in errors for problem in error.problems],
    )
