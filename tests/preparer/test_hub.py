"""Searching and downloading, against a hub on loopback that may break off, refuse or lie."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from safetensors.numpy import save_file

from studio.core.errors import StudioError
from studio.core.recipe import ModelPart
from studio.library import models
from studio.library.folders import Home
from studio.library.locks import Lock
from studio.preparer import hub as client
from studio.preparer import hub_files
from tests.fakes.hub import TOKEN, FakeHub, serving

NAME = "org/tiny"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(hub_files, "WAIT_SECONDS", 0.0)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served
        huggingface_hub.close_session()


@pytest.fixture
def offered(hub: FakeHub, tiny_model: Path, tmp_path: Path) -> FakeHub:
    """A hub with one whole model, and files beside it that nobody wants."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "offered"))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n", "utf-8")
    (folder / "LICENSE").write_text("Apache", "utf-8")
    (folder / "studio.json").write_text('{"name": "another", "revision": "forged"}', "utf-8")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling_tiny.py").write_text("evil()", "utf-8")
    (folder / "model.fp16.safetensors").write_bytes(b"another variant")
    hub.add(NAME, folder)
    hub.repos[NAME].files["onnx/config.json"] = b"{}"
    return hub


@pytest.fixture
def target(home: Home) -> Path:
    return models.hub_folder(home, NAME)


def refused(repo: str, target: Path, revision: str = "", token: str = "") -> StudioError:
    with pytest.raises(StudioError) as raised:
        client.download(repo, revision, target, token)
    assert not target.exists()
    assert raised.value.fix.endswith(".")
    return raised.value


class TestSearch:
    def test_rows_tell_what_a_person_chooses_by(self, offered: FakeHub) -> None:
        (found,) = client.search("tiny")
        assert (found.id, found.parameters, found.licence) == (NAME, 1234, "apache-2.0")
        assert (found.downloads, found.updated) == (100, "2026-05-04")
        assert (found.architecture, found.gated) == ("LlamaForCausalLM", False)

    def test_the_most_wanted_come_first_up_to_the_limit(
        self, hub: FakeHub, tiny_model: Path
    ) -> None:
        for count in (5, 50, 500):
            hub.add(f"org/m{count}", tiny_model, downloads=count)
        assert [row.id for row in client.search("org", limit=2)] == ["org/m500", "org/m50"]

    def test_what_has_no_safetensors_is_not_shown(self, hub: FakeHub, tiny_model: Path) -> None:
        hub.add(NAME, tiny_model, tags=("text-generation", "pytorch"))
        assert client.search("tiny") == []


class TestDownload:
    def test_a_usable_folder_that_says_where_it_came_from(
        self, offered: FakeHub, home: Home, target: Path
    ) -> None:
        assert client.download(NAME, "", target) == target
        facts = models.inspect(target)
        assert facts.problems == ()
        assert (facts.name, facts.licence) == (NAME, "apache-2.0")
        note = json.loads((target / "studio.json").read_text("utf-8"))
        assert (note["repo"], note["revision"]) == (NAME, offered.repos[NAME].commit)
        part = ModelPart(path=NAME, revision=offered.repos[NAME].commit)
        assert models.resolve(home, part) == target

    def test_neither_pickles_nor_code_nor_variants(self, offered: FakeHub, target: Path) -> None:
        client.download(NAME, "", target)
        names = {path.name for path in target.rglob("*")}
        assert {"model.safetensors", "LICENSE", "README.md", "tokenizer.json"} <= names
        assert not names & {"pytorch_model.bin", "modeling_tiny.py", "model.fp16.safetensors"}
        assert not any(name.endswith(".part") for name in names)

    def test_shards_of_the_index(self, hub: FakeHub, tiny_model: Path, target: Path) -> None:
        files = {
            path.name: path.read_bytes()
            for path in tiny_model.iterdir()
            if path.suffix != ".safetensors"
        }
        hub.add(NAME, tiny_model).files = files
        shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
        for number, shard in enumerate(shards):
            made = target.parent / shard
            save_file({f"t{number}": np.ones(3, np.float32)}, made)
            files[shard] = made.read_bytes()
            made.unlink()
        index = {"weight_map": {"t0": shards[0], "t1": shards[1]}}
        files["model.safetensors.index.json"] = json.dumps(index).encode()
        client.download(NAME, "", target)
        assert {path.name for path in target.glob("*.safetensors")} == set(shards)

    def test_a_missing_shard_is_refused_before_anything_large(
        self, hub: FakeHub, tiny_model: Path, target: Path
    ) -> None:
        index = {"weight_map": {"a": "model.safetensors", "b": "absent.safetensors"}}
        repo = hub.add(NAME, tiny_model)
        repo.files["model.safetensors.index.json"] = json.dumps(index).encode()
        assert "no complete" in refused(NAME, target).text
        assert hub.asked("model.safetensors") == []

    def test_progress_rises_to_one(self, offered: FakeHub, target: Path) -> None:
        shares: list[float] = []

        def hear(text: str, share: float | None) -> None:
            assert NAME in text
            if share is not None:
                shares.append(share)

        client.download(NAME, "", target, "", hear)
        assert len(shares) > 3
        assert shares == sorted(shares)
        assert shares[-1] == 1.0

    def test_what_is_there_is_not_fetched_again(self, offered: FakeHub, target: Path) -> None:
        client.download(NAME, "", target)
        before = len(offered.asked("model.safetensors"))
        client.download(NAME, "main", target)
        assert len(offered.asked("model.safetensors")) == before

    def test_another_commit_replaces_it(self, offered: FakeHub, target: Path) -> None:
        client.download(NAME, "", target)
        offered.repos[NAME].commit = "beef" * 10
        offered.repos[NAME].files["README.md"] = b"newer"
        client.download(NAME, "", target)
        assert (target / "README.md").read_bytes() == b"newer"
        assert not list(target.parent.glob(".download-*.old"))


class TestBroken:
    def test_a_broken_connection_is_taken_up_again(self, offered: FakeHub, target: Path) -> None:
        offered.break_after = [10_000, 20_000]
        client.download(NAME, "", target)
        ranges = [request.byte_range for request in offered.asked("model.safetensors")]
        assert ranges == ["", "bytes=10000-", "bytes=30000-"]
        assert models.usable(target)

    def test_a_later_call_goes_on_where_the_last_one_stopped(
        self, offered: FakeHub, target: Path
    ) -> None:
        offered.break_after = [50_000, *[0] * hub_files.TRIES_WITHOUT_PROGRESS]
        assert refused(NAME, target).title == "The hub can't be reached"
        offered.break_after, offered.requests = [], []
        client.download(NAME, "", target)
        (request,) = offered.asked("model.safetensors")
        assert request.byte_range == "bytes=50000-"
        assert offered.asked("tokenizer.json") == []
        assert models.usable(target)

    def test_a_server_that_ignores_ranges(self, offered: FakeHub, target: Path) -> None:
        offered.break_after, offered.ignores_ranges = [10_000], True
        shares: list[float | None] = []
        client.download(NAME, "", target, "", lambda text, share: shares.append(share))
        assert models.usable(target)
        assert shares[-1] == 1.0

    def test_giving_up_leaves_what_came_for_the_next_time(
        self, offered: FakeHub, target: Path
    ) -> None:
        class Enough(Exception):
            pass

        def stop_halfway(text: str, share: float | None) -> None:
            if share is not None and share > 0.5:
                raise Enough

        with pytest.raises(Enough):
            client.download(NAME, "", target, "", stop_halfway)
        assert not target.exists()
        assert models.listing(Home(target.parent.parent)) == []
        offered.requests = []
        client.download(NAME, "", target)
        (request,) = offered.asked("model.safetensors")
        assert int(request.byte_range.removeprefix("bytes=").rstrip("-")) > 8192
        assert models.usable(target)

    def test_half_of_another_commit_is_not_mixed_in(self, offered: FakeHub, target: Path) -> None:
        offered.break_after = [50_000, *[0] * hub_files.TRIES_WITHOUT_PROGRESS]
        refused(NAME, target)
        offered.break_after, offered.requests = [], []
        offered.repos[NAME].commit = "beef" * 10
        client.download(NAME, "", target)
        (request,) = offered.asked("model.safetensors")
        assert request.byte_range == ""

    @pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
    def test_other_content_than_promised(self, offered: FakeHub, target: Path, file: str) -> None:
        offered.wrong = file
        assert refused(NAME, target).title == "Download damaged"
        offered.wrong = ""
        client.download(NAME, "", target)
        assert models.usable(target)

    def test_a_second_download_of_the_same_model(self, offered: FakeHub, target: Path) -> None:
        lock = Lock(target.parent / f".download-{target.name}.lock")
        assert lock.acquire()
        assert refused(NAME, target).title == "Already downloading"
        lock.release()


class TestRefused:
    def test_gated_without_and_with_a_token(self, offered: FakeHub, target: Path) -> None:
        offered.repos[NAME].gated = True
        said = refused(NAME, target)
        assert f"{offered.url}/{NAME}" in said.fix
        assert "Settings" in said.fix
        assert "Your token" in refused(NAME, target, token=TOKEN).text
        offered.granted = {TOKEN}
        client.download(NAME, "", target, TOKEN)
        assert models.usable(target)

    def test_the_token_goes_to_the_hub_alone(self, offered: FakeHub, target: Path) -> None:
        offered.repos[NAME].gated, offered.granted = True, {TOKEN}
        client.download(NAME, "", target, TOKEN)
        elsewhere = [request for request in offered.requests if "/cdn/" in request.path]
        assert elsewhere
        assert all(request.host.startswith("localhost") for request in elsewhere)
        assert not any(request.token for request in elsewhere)
        assert TOKEN not in "".join(map(str, os.environ.values()))
        kept = [path for path in target.rglob("*") if TOKEN.encode() in path.read_bytes()]
        assert kept == []

    def test_a_refused_token(self, offered: FakeHub, target: Path) -> None:
        offered.status = 403
        assert refused(NAME, target, token=TOKEN).title == "Token refused"

    @pytest.mark.parametrize("name", ["org/absent", "no slash at all", "a/b/c"])
    def test_no_such_model(self, offered: FakeHub, home: Home, name: str) -> None:
        assert name in refused(name, home.models / "x").text

    def test_no_such_revision(self, offered: FakeHub, target: Path) -> None:
        assert refused(NAME, target, "v9").title == "No such revision"

    @pytest.mark.parametrize(
        ("status", "title"), [(429, "Too many requests"), (500, "The hub has a problem")]
    )
    def test_a_hub_on_a_bad_day(
        self, offered: FakeHub, target: Path, status: int, title: str
    ) -> None:
        offered.status = status
        assert refused(NAME, target).title == title

    def test_offline(self, home: Home, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
            assert refused(NAME, target).title == "The hub can't be reached"
            with pytest.raises(StudioError, match="can't be reached"):
                client.search("tiny")
        huggingface_hub.close_session()

    @pytest.mark.parametrize(
        ("files", "title"),
        [
            ({"pytorch_model.bin": b"x"}, "Only pickled weights"),
            ({"m.Q4_K_M.gguf": b"x"}, "Only GGUF files"),
            ({}, "No weights"),
        ],
    )
    def test_without_safetensors(
        self, hub: FakeHub, tiny_model: Path, target: Path, files: dict[str, bytes], title: str
    ) -> None:
        hub.add(NAME, tiny_model).files = {"config.json": b"{}"} | files
        assert refused(NAME, target).title == title

    def test_a_disk_without_room(
        self, offered: FakeHub, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = type("Usage", (), {"free": 1000})()
        monkeypatch.setattr("studio.preparer.hub.shutil.disk_usage", lambda path: full)
        assert refused(NAME, target).title == "Not enough room"
        assert offered.asked("model.safetensors") == []
