"""What the user set for this home folder, and the hub token in the system's keyring."""

from __future__ import annotations

import contextlib
from typing import Literal

import msgspec

from studio.core.errors import StudioError
from studio.core.guard import Rules
from studio.core.upgrades import Newer
from studio.library import formats
from studio.library.files import write_whole
from studio.library.folders import Home

Theme = Literal["system", "light", "dark"]

KEYRING_SERVICE = "finetune-studio"
_in_memory: dict[str, str] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one home folder. Bytes.

    `reserve_bytes` is what training leaves free for the desktop, `models_folder` one more
    folder to look for models in, `language` empty for the system's. `guard` says when a run
    pauses by itself. `card` is the one that engines compute on: its UUID, its number or a part of
    its name; empty is the one with the most free memory. `without` names accelerations
    (core/accelerations.py) that are switched off, with commas between them, `also` those that are
    wanted even where they don't come in by themselves.
    """

    theme: Theme = "system"
    reserve_bytes: int = 1 << 29
    models_folder: str = ""
    language: str = ""
    recent_models: tuple[str, ...] = ()
    recent_datasets: tuple[str, ...] = ()
    window: dict[str, str] = {}
    guard: Rules = Rules()
    card: str = ""
    without: str = ""
    also: str = ""


def load(home: Home) -> Settings:
    """The settings; the defaults where none were saved, the file can't be read or is newer."""
    try:
        return _read(home)
    except (FileNotFoundError, ValueError, Newer):
        return Settings()


def save(home: Home, settings: Settings) -> None:
    """Write the settings; raises StudioError where the home folder can't be written, and Newer
    where a newer studio's settings would be lost."""
    with contextlib.suppress(OSError, ValueError):
        _read(home)
    try:
        write_whole(home.settings, formats.encode("settings", settings))
    except OSError as error:
        raise StudioError(
            "Settings not saved",
            f"The file {home.settings} can't be written ({error.strerror or error}).",
            "Make room there or the folder writable, or start with --home and another folder.",
        ) from error


def _read(home: Home) -> Settings:
    what = f"The file {home.settings}"
    return formats.decode("settings", home.settings.read_bytes(), Settings, what)


def token(home: Home) -> str | None:
    """The hub token of this home, from the keyring or from memory; None without one."""
    kept = _in_memory.get(str(home.root))
    if kept is not None:
        return kept or None
    if not keyring_works():
        return None
    import keyring

    return keyring.get_password(KEYRING_SERVICE, str(home.root))


def set_token(home: Home, value: str) -> bool:
    """Keep the hub token, or drop it when empty.

    Returns whether the keyring holds it; otherwise it lasts in memory until this process ends.
    """
    if not keyring_works():
        _in_memory[str(home.root)] = value
        return False
    import keyring

    _in_memory.pop(str(home.root), None)
    if value:
        keyring.set_password(KEYRING_SERVICE, str(home.root), value)
    elif keyring.get_password(KEYRING_SERVICE, str(home.root)) is not None:
        keyring.delete_password(KEYRING_SERVICE, str(home.root))
    return True


def keyring_works() -> bool:
    """Whether the system has a keyring that can be asked (loads `keyring` on first use)."""
    import keyring
    from keyring.backends import fail, null
    from keyring.errors import KeyringError

    if isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring):
        return False
    try:
        keyring.get_password(KEYRING_SERVICE, "probe")
    except (KeyringError, RuntimeError, OSError):
        return False
    return True
