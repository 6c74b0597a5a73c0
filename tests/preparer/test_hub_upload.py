"""An export goes to the hub: private, whole or not at all, and on after it was broken off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from studio.client import actions
from studio.core.errors import StudioError
from studio.library.folders import Home
from studio.preparer.hub_upload import upload
from tests.fakes import hub as fake
from tests.fakes.hub import TOKEN, FakeHub

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=<...>' to upload:DeprecationWarning"  # huggingface_hub of httpx
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that knows one who may write. Its files travel by LFS: Xet has servers of its own."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    with fake.serving() as served:
        served.writers.add(TOKEN)
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "export"
    (made / "adapter").mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"weights" * 1000)
    (made / "adapter" / "adapter_model.safetensors").write_bytes(b"adapter" * 1000)
    (made / "README.md").write_text("# mine\n", "utf-8")
    (made / "studio.json").write_text("{}", "utf-8")
    return made


def quiet(text: str, share: float | None) -> None:
    pass


def test_a_private_repository_with_every_file(hub: FakeHub, folder: Path) -> None:
    shares: list[float | None] = []
    page = upload(folder, "me/mine", TOKEN, True, lambda text, share: shares.append(share))
    assert page == f"{hub.url}/me/mine"
    assert hub.private == {"me/mine"}
    files = hub.repos["me/mine"].files
    assert set(files) == {
        "README.md", "adapter/adapter_model.safetensors", "model.safetensors"
    }  # fmt: skip
    assert files["model.safetensors"] == b"weights" * 1000
    told = [share for share in shares if share is not None]
    assert told == sorted(told)


def test_broken_off_it_goes_on_with_the_file_where_it_stopped(hub: FakeHub, folder: Path) -> None:
    def enough(text: str, share: float | None) -> None:
        if text == "Uploading model.safetensors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(folder, "me/mine", TOKEN, True, enough)
    assert hub.repos["me/mine"].files == {}
    upload(folder, "me/mine", TOKEN, True, quiet)
    assert len(hub.repos["me/mine"].files) == 3
    assert len([request for request in hub.requests if request.method == "PUT"]) == 2


def test_a_file_that_is_not_taken_is_said(hub: FakeHub, folder: Path) -> None:
    hub.files_status = 413
    with pytest.raises(StudioError) as caught:
        upload(folder, "me/mine", TOKEN, True, quiet)
    assert "goes on" in caught.value.fix
    hub.files_status = 0
    upload(folder, "me/mine", TOKEN, True, quiet)
    assert len(hub.repos["me/mine"].files) == 3


def test_public_where_it_is_asked_for(hub: FakeHub, folder: Path) -> None:
    upload(folder, "me/mine", TOKEN, False, quiet)
    assert hub.private == set()


def test_without_a_token_that_may_write(hub: FakeHub, folder: Path) -> None:
    with pytest.raises(StudioError) as caught:
        upload(folder, "me/mine", "", True, quiet)
    assert caught.value.title == "No token"
    with pytest.raises(StudioError) as caught:
        upload(folder, "me/mine", "hf_another", True, quiet)
    assert caught.value.title == "Not allowed to write"
    assert hub.repos == {}


def test_a_hub_that_is_down_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StudioError) as caught:
        upload(folder, "me/mine", TOKEN, True, quiet)
    assert caught.value.fix


def test_what_failed_its_passport_is_not_pushed(home: Home, folder: Path) -> None:
    checked = {
        "grade": "fail", "runtime": "transformers", "precision": "4-bit", "dtype": "bfloat16",
        "top1": 0.5, "agreement": 0.5, "kl": 2.0, "kl_max": 3.0, "positions": 10, "prompts": 1,
        "cause": "lost",
        "checks": [{"name": "kl", "passed": False, "measured": 2.0, "wanted": 0.4}],
    }  # fmt: skip
    (folder / "passport.json").write_text(json.dumps(checked), "utf-8")
    with pytest.raises(StudioError, match="training isn't in it"):
        actions.push(home, folder, "me/mine")
