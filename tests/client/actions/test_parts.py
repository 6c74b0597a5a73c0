"""Installing optional parts: whole, mended, given up, refused."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from studio.client.actions import install_parts
from studio.client.cancelled import Cancelled
from studio.core.errors import StudioError
from studio.core.parts import Extract, Part
from studio.library import parts
from studio.library.locks import Lock
from tests.support.tiny_wheels import MODULE, NAME, offer, only_index, toy_part, write_wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return only_index(tmp_path, monkeypatch)


def test_a_part_is_installed_once(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = offer(monkeypatch, toy_part())
    write_wheel(index, NAME, "1.0", {f"{MODULE}/__init__.py": "ANSWER = 42\n"})
    assert parts.state(toy) == "missing"
    told: list[str] = []
    assert install_parts(["toy"], progress=lambda text, share: told.append(text)) == [toy]
    assert parts.state(toy) == "installed"
    assert "Downloading The toy" in told
    shutil.rmtree(index)
    assert install_parts(["toy"]) == []


@pytest.mark.parametrize("damage", ["file", "list"])
def test_what_an_interrupted_install_left_is_mended(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    toy = offer(monkeypatch, toy_part())
    write_wheel(index, NAME, "1.0", {f"{MODULE}/__init__.py": "ANSWER = 42\n"})
    install_parts(["toy"])
    site = tmp_path / "site"
    if damage == "file":
        (site / MODULE / "__init__.py").unlink()
    elif damage == "list":
        (site / f"{MODULE}-1.0.dist-info" / "RECORD").unlink()
    assert parts.state(toy) == "broken"
    install_parts(["toy"])
    assert parts.state(toy) == "installed"
    assert (site / MODULE / "__init__.py").read_text("utf-8") == "ANSWER = 42\n"


class PresentFiles(importlib.metadata.PathDistribution):
    """As newer Pythons have it: what is missing isn't listed."""

    @property
    def files(self) -> list[importlib.metadata.PackagePath]:
        return [file for file in super().files or () if Path(str(file.locate())).exists()]


def test_a_missing_file_is_missed_where_python_does_not_list_it(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = offer(monkeypatch, toy_part())
    write_wheel(index, NAME, "1.0", {f"{MODULE}/__init__.py": "ANSWER = 42\n"})
    install_parts(["toy"])
    mark = next((tmp_path / "site").glob("*.dist-info"))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: PresentFiles(mark))
    assert parts.state(toy) == "installed"
    (tmp_path / "site" / MODULE / "__init__.py").unlink()
    assert parts.state(toy) == "broken"


def extracted(wheel: Path, digest: str = "") -> Part:
    digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return toy_part(
        extract=Extract(wheel=wheel.name, sha256=digest, below="vendor/", members=("a/", "LICENSE"))
    )


FILES = {"vendor/a/b.py": "B = 1\n", "vendor/LICENSE": "MIT\n", "vendor/c/d.py": "D = 1\n"}


def test_of_a_source_tree_only_what_is_wanted_is_kept(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = offer(monkeypatch, extracted(write_wheel(index, NAME, "1.0", FILES)))
    install_parts(["toy"])
    folder = parts.folder(toy)
    kept = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert kept == ["LICENSE", "a/b.py"]
    assert parts.state(toy) == "installed"


def test_another_file_of_that_name_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = offer(monkeypatch, extracted(write_wheel(index, NAME, "1.0", FILES), "0" * 64))
    with pytest.raises(StudioError, match="SHA-256"):
        install_parts(["toy"])
    assert not parts.folder(toy).exists()


def test_nothing_that_is_here_changes_its_version(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that wants another msgspec than the studio's is refused, not obeyed."""
    offer(monkeypatch, toy_part(requirements=(f"{NAME}==1.0", "msgspec==0.0.1")))
    write_wheel(index, NAME, "1.0")
    write_wheel(index, "msgspec", "0.0.1")
    monkeypatch.setattr(Part, "pins", property(lambda self: {NAME: "1.0"}))
    with pytest.raises(StudioError, match="can't be installed"):
        install_parts(["toy"])


def test_without_a_network_it_says_so(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, toy_part())
    with pytest.raises(StudioError, match="No matching distribution") as caught:
        install_parts(["toy"])
    assert caught.value.fix


def test_it_can_be_given_up(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = offer(monkeypatch, toy_part())
    write_wheel(index, NAME, "1.0")
    with pytest.raises(Cancelled):
        install_parts(["toy"], cancelled=lambda: True)
    assert parts.state(toy) == "missing"


def test_one_at_a_time(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, toy_part())
    held = Lock(parts.environment() / "install.lock")
    assert held.acquire()
    told: list[str] = []
    with pytest.raises(Cancelled):
        install_parts(
            ["toy"],
            progress=lambda text, share: told.append(text),
            cancelled=lambda: bool(told),
        )
    assert told == ["Waiting for another process that installs parts"]
    held.release()


def test_a_part_without_a_build_for_this_machine(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = offer(monkeypatch, toy_part(download_bytes={"amiga-68000": 1}))
    assert parts.state(toy) == "unavailable"
    with pytest.raises(StudioError, match="no build"):
        install_parts(["toy"])
    with pytest.raises(StudioError, match="no build"):
        parts.need("toy")


def test_what_needs_a_part_says_so_with_its_size(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, toy_part(download_bytes={"any": 33 * 2**20}))
    with pytest.raises(StudioError, match="33 MB") as caught:
        parts.need("toy")
    assert caught.value.fix == "Install: finetune-studio parts install toy"


def test_an_environment_that_may_not_be_written_is_named(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, toy_part())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StudioError, match="may not be written") as caught:
        install_parts(["toy"])
    assert sysconfig.get_path("purelib") in caught.value.text
