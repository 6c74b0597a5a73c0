"""Settings of a home folder, the hub token, and where resources lie."""

from __future__ import annotations

import sys

import keyring
import keyring.backend
import pytest

from studio.core.errors import StudioError
from studio.library import resources, settings
from studio.library.folders import Home
from studio.library.settings import Settings


class Drawer(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def drawer(monkeypatch: pytest.MonkeyPatch) -> Drawer:
    own = Drawer()
    monkeypatch.setattr(keyring, "get_keyring", lambda: own)
    for name in ("get_password", "set_password", "delete_password"):
        monkeypatch.setattr(keyring, name, getattr(own, name))
    return own


def test_what_was_saved_is_loaded(home: Home) -> None:
    changed = Settings(theme="dark", reserve_bytes=123, models_folder="/some/where")
    settings.save(home, changed)
    assert settings.load(home) == changed


def test_without_a_file_there_are_defaults(home: Home) -> None:
    assert settings.load(home) == Settings()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"theme": "pink"}', b"[]"])
def test_a_broken_file_means_defaults(home: Home, content: bytes) -> None:
    home.settings.write_bytes(content)
    assert settings.load(home) == Settings()


def test_a_folder_in_the_way_is_said_in_words(home: Home) -> None:
    home.settings.mkdir()
    (home.settings / "occupied").touch()
    with pytest.raises(StudioError, match="can't be written"):
        settings.save(home, Settings())
    assert [path.name for path in home.root.glob(".partial*")] == []


def test_a_token_is_kept_in_the_keyring(home: Home, drawer: Drawer) -> None:
    assert settings.set_token(home, "hf_secret")
    assert settings.token(home) == "hf_secret"
    assert list(drawer.kept.values()) == ["hf_secret"]
    assert settings.set_token(home, "")
    assert settings.token(home) is None
    assert drawer.kept == {}


def test_tokens_of_two_homes_are_apart(home: Home, drawer: Drawer) -> None:
    other = Home(home.root / "other")
    settings.set_token(home, "one")
    assert settings.token(other) is None


def test_without_a_keyring_a_token_lasts_in_memory_alone(home: Home) -> None:
    assert not settings.keyring_works()
    assert not settings.set_token(home, "hf_secret")
    assert settings.token(home) == "hf_secret"
    held = [path for path in home.root.rglob("*") if path.is_file()]
    assert all(b"hf_secret" not in path.read_bytes() for path in held)
    settings.set_token(home, "")
    assert settings.token(home) is None


def test_resources_are_found() -> None:
    assert resources.path("sample", "train.jsonl").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no such modes")
def test_the_keeper_s_folder_is_for_its_owner_alone(home: Home) -> None:
    assert home.keeper.stat().st_mode & 0o077 == 0
