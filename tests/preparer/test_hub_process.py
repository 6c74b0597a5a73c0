"""The hub through the preparer's process: what it says, how it is given up, where a token goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.client.cancelled import Cancelled
from studio.client.preparer import Preparer
from studio.core.errors import StudioError
from studio.core.hub import HubModel
from studio.library import models
from studio.library.folders import Home
from tests.fakes.hub import TOKEN, FakeHub, serving

NAME = "org/tiny"


@pytest.fixture
def hub(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        served.add(NAME, tiny_model)
        yield served


@pytest.fixture
def preparer(home: Home, hub: FakeHub) -> Iterator[Preparer]:
    with Preparer(home) as made:
        yield made


@pytest.fixture
def target(home: Home) -> Path:
    return models.hub_folder(home, NAME)


def test_searching_and_downloading(preparer: Preparer, target: Path) -> None:
    (found,) = preparer.hub_search("tiny")
    assert isinstance(found, HubModel)
    assert found.id == NAME
    shares: list[float | None] = []
    folder = preparer.download(
        NAME, "", target, "", on_progress=lambda text, share: shares.append(share)
    )
    assert folder == target
    assert models.usable(target)
    assert shares[-1] == 1.0


def test_refusals_arrive_as_advice(preparer: Preparer, target: Path) -> None:
    with pytest.raises(StudioError) as raised:
        preparer.download("org/absent", "", target)
    assert raised.value.title == "Not on the hub"
    assert "organisation/name" in raised.value.fix


def test_giving_up_a_download_that_stalls_keeps_what_came(
    preparer: Preparer, hub: FakeHub, target: Path
) -> None:
    hub.stall_after = 50_000
    heard: list[float] = []

    def hear(text: str, share: float | None) -> None:
        if share:
            heard.append(share)

    with pytest.raises(Cancelled):
        preparer.download(NAME, "", target, on_progress=hear, cancelled=lambda: bool(heard))
    assert not target.exists()
    hub.stall_after, hub.requests = 0, []
    hub.going_on.set()
    preparer.download(NAME, "", target)
    (request,) = hub.asked("model.safetensors")
    assert request.byte_range.startswith("bytes=")
    assert models.usable(target)


def test_a_token_is_in_no_argument_no_environment_and_no_log(
    preparer: Preparer, hub: FakeHub, home: Home, target: Path
) -> None:
    hub.repos[NAME].gated, hub.granted = True, {TOKEN}
    preparer.download(NAME, "", target, TOKEN)
    assert models.usable(target)
    children = psutil.Process().children(recursive=True)
    assert children
    for child in children:
        assert TOKEN not in " ".join(child.cmdline())
        assert TOKEN not in " ".join(child.environ().values())
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)
