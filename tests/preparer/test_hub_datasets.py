"""Datasets of a hub on loopback: chosen, fetched, resumed, kept, and refused with what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from studio.client.cancelled import Cancelled
from studio.client.preparer import Preparer
from studio.core.errors import StudioError
from studio.core.recipe import DatasetPart
from studio.library import hub_datasets as library
from studio.library.folders import Home
from studio.library.locks import Lock
from studio.preparer import hub_datasets, hub_files
from tests.fakes.hub import TOKEN, FakeHub, Repo, serving
from tests.preparer.corpus import PAIR, jsonl, parquet
from tests.preparer.corpus_files import CONFIGURED, zipped

NAME = "org/answers"
SHARDS = tuple(f"data/train-{i:05}-of-00002.parquet" for i in range(2))
HELD = "data/test-00000-of-00001.parquet"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(hub_files, "WAIT_SECONDS", 0.0)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served
        huggingface_hub.close_session()


@pytest.fixture
def offered(hub: FakeHub, tmp_path: Path) -> Repo:
    """A dataset of two shards and a test split, and files beside them that nobody wants."""
    made = tmp_path / "made.parquet"
    contents = []
    for shard in range(3):
        rows = [{**PAIR, "id": f"{shard}-{row}" * 20} for row in range(400)]
        parquet(rows, compression=None)(made)  # type: ignore[operator]
        contents.append(made.read_bytes())
    files = dict(zip((*SHARDS, HELD), contents, strict=True))
    beside = {"answers.py": b"evil()", "README.md": b"# Answers", ".gitattributes": b"x"}
    return hub.add_dataset(NAME, files | beside)


@pytest.fixture
def preparer(home: Home, hub: FakeHub) -> Iterator[Preparer]:
    with Preparer(home) as made:
        yield made


def part(**about: str) -> DatasetPart:
    return DatasetPart(path=NAME, **about)  # type: ignore[arg-type]


def names_in(folder: str | Path) -> set[str]:
    root = Path(folder)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def refused(home: Home, one: DatasetPart | None = None, token: str = "") -> StudioError:
    with pytest.raises(StudioError) as raised:
        hub_datasets.fetch(home, one or part(), token)
    assert raised.value.fix.endswith(".")
    return raised.value


class TestFetching:
    def test_only_files_with_rows_and_where_they_came_from(self, offered: Repo, home: Home) -> None:
        found = hub_datasets.fetch(home, part())
        assert names_in(found.path) == {*SHARDS, HELD, "README.md", "studio.json"}
        origin = library.origin_of(Path(found.path))
        assert origin is not None
        assert (origin.repo, origin.revision) == (NAME, offered.commit)

    def test_a_report_through_the_process(self, offered: Repo, preparer: Preparer) -> None:
        shares: list[float] = []
        report = preparer.inspect(
            [part()], on_progress=lambda text, share: shares.append(share or 0.0)
        )
        assert (report.rows, report.kind, report.format) == (
            1200, "Parquet", "prompt and completion",
        )  # fmt: skip
        (piece,) = report.parts
        assert (piece.path, piece.revision) == (NAME, offered.commit)
        assert (piece.files, piece.evaluation_rows) == (3, 400)
        assert max(shares) == 1.0

    def test_a_copy_is_used_without_asking_the_hub(
        self, offered: Repo, hub: FakeHub, home: Home, preparer: Preparer
    ) -> None:
        hub_datasets.fetch(home, part())
        hub.requests = []
        assert preparer.inspect([part()]).rows == 1200
        pinned = part(revision=offered.commit)
        assert preparer.inspect([pinned]).rows == 1200
        assert hub.requests == []

    def test_a_copy_is_used_offline(
        self, offered: Repo, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = hub_datasets.fetch(home, part())
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
            assert hub_datasets.fetch(home, part()) == first
            said = refused(home, part(split="train"))
        assert said.title == "The hub can't be reached"
        assert "datasets already on this machine" in said.fix

    def test_one_split_alone(self, offered: Repo, hub: FakeHub, home: Home) -> None:
        found = hub_datasets.fetch(home, part(split="test"))
        assert SHARDS[0] not in names_in(found.path)
        hub_datasets.fetch(home, part())
        assert {*SHARDS, HELD} <= names_in(found.path)
        assert len(hub.asked(HELD)) == 1

    def test_the_configurations_of_the_readme(
        self, hub: FakeHub, home: Home, preparer: Preparer
    ) -> None:
        hub.add_dataset(NAME, {k: v for k, v in CONFIGURED.items() if isinstance(v, bytes)})
        found = hub_datasets.fetch(home, part(config="de"))
        assert names_in(found.path) == {"README.md", "studio.json", "de/a.jsonl"}
        assert preparer.inspect([part(config="de")]).rows == 1
        assert preparer.inspect([part()]).rows == 5
        assert "unlisted" not in " ".join(names_in(found.path))
        assert refused(home, part(config="fr")).title == "No such configuration"

    def test_a_revision_by_name_and_another_commit(
        self, offered: Repo, hub: FakeHub, home: Home
    ) -> None:
        offered.revisions = ("main", "refs/convert/parquet")
        named = hub_datasets.fetch(home, part(revision="refs/convert/parquet"))
        assert Path(named.path).name == offered.commit
        assert refused(home, part(revision="v9")).title == "No such revision"
        offered.commit = "beef" * 10
        newer = hub_datasets.fetch(home, part(revision=offered.commit))
        assert newer.path != named.path
        assert hub_datasets.fetch(home, part(revision="refs/convert/parquet")) == named

    def test_the_most_frequent_kind_counts_as_on_the_hub(self, hub: FakeHub, home: Home) -> None:
        rows = jsonl(PAIR)
        hub.add_dataset(NAME, {"a.jsonl": rows, "b.json": rows, "preview.csv": b"x,y\n1,2\n"})
        assert "preview.csv" not in names_in(hub_datasets.fetch(home, part()).path)

    @pytest.mark.parametrize(
        "path", [f"hf://datasets/{NAME}", f"https://huggingface.co/datasets/{NAME}"]
    )
    def test_addresses(self, offered: Repo, home: Home, path: str) -> None:
        assert hub_datasets.fetch(home, DatasetPart(path=path)).path.endswith(offered.commit)

    def test_an_archive(self, hub: FakeHub, home: Home, preparer: Preparer) -> None:
        hub.add_dataset(NAME, {"rows.zip": zipped(rows_jsonl=jsonl(PAIR, PAIR))})
        assert preparer.inspect([part()]).rows == 2

    def test_names_that_lead_elsewhere_are_not_written(self, hub: FakeHub, home: Home) -> None:
        rows = jsonl(PAIR)
        evil = {"../../../evil.jsonl": rows, "/evil.jsonl": rows, "a/../../evil.jsonl": rows}
        hub.add_dataset(NAME, {"good.jsonl": rows, "c:evil.jsonl": rows, **evil})
        found = hub_datasets.fetch(home, part())
        assert names_in(found.path) == {"good.jsonl", "studio.json"}
        assert not list(home.root.rglob("*evil*"))


class TestBroken:
    def test_a_broken_connection_is_taken_up_again(
        self, offered: Repo, hub: FakeHub, home: Home
    ) -> None:
        hub.break_after = [5_000, 6_000]
        found = hub_datasets.fetch(home, part())
        ranges = [request.byte_range for request in hub.asked(SHARDS[0])]
        assert ranges == ["", "bytes=5000-", "bytes=11000-"]
        assert (Path(found.path) / SHARDS[0]).read_bytes() == offered.files[SHARDS[0]]

    def test_a_later_call_goes_on_where_the_last_one_stopped(
        self, offered: Repo, hub: FakeHub, home: Home
    ) -> None:
        hub.break_after = [10**9, 7_000, *[0] * hub_files.TRIES_WITHOUT_PROGRESS]
        assert refused(home).title == "The hub can't be reached"
        with pytest.raises(StudioError, match="has not been downloaded"):
            library.located(home, part())
        hub.break_after, hub.requests = [], []
        found = hub_datasets.fetch(home, part())
        assert hub.asked(SHARDS[0]) == []
        assert [request.byte_range for request in hub.asked(SHARDS[1])] == ["bytes=7000-"]
        assert (Path(found.path) / SHARDS[1]).read_bytes() == offered.files[SHARDS[1]]

    def test_giving_up_a_download_that_stalls(
        self, offered: Repo, hub: FakeHub, preparer: Preparer
    ) -> None:
        hub.stall_after = 9_000
        heard: list[float] = []
        with pytest.raises(Cancelled):
            preparer.inspect(
                [part()],
                on_progress=lambda text, share: heard.append(share or 0.0),
                cancelled=lambda: any(heard),
            )
        hub.stall_after, hub.requests = 0, []
        hub.going_on.set()
        assert preparer.inspect([part()]).rows == 1200
        assert hub.asked(SHARDS[0])[0].byte_range.startswith("bytes=")

    def test_other_content_than_promised(self, offered: Repo, hub: FakeHub, home: Home) -> None:
        hub.wrong = SHARDS[1]
        assert refused(home).title == "Download damaged"
        hub.wrong = ""
        hub_datasets.fetch(home, part())

    def test_a_second_download_of_the_same_dataset(self, offered: Repo, home: Home) -> None:
        top = library.hub_folder(home, NAME)
        top.mkdir(parents=True)
        lock = Lock(top / ".download.lock")
        assert lock.acquire()
        assert refused(home).title == "Already downloading"
        lock.release()


class TestRefused:
    def test_gated_without_and_with_a_token(self, offered: Repo, hub: FakeHub, home: Home) -> None:
        offered.gated = True
        said = refused(home)
        assert said.title == "Terms to accept"
        assert f"{hub.url}/datasets/{NAME}" in said.fix
        assert "Settings" in said.fix
        assert refused(home, token=TOKEN).title == "Access not granted"
        hub.granted = {TOKEN}
        found = hub_datasets.fetch(home, part(), TOKEN)
        elsewhere = [request for request in hub.requests if "/cdn/" in request.path]
        assert elsewhere
        assert not any(request.token for request in elsewhere)
        files = [path for path in Path(found.path).rglob("*") if path.is_file()]
        assert not any(TOKEN.encode() in path.read_bytes() for path in files)

    def test_no_such_dataset(self, offered: Repo, home: Home) -> None:
        said = refused(home, DatasetPart(path="org/absent"))
        assert said.title == "Not on the hub"
        assert "no dataset org/absent" in said.text

    @pytest.mark.parametrize(
        ("files", "title"),
        [
            ({"answers.py": b"evil()"}, "Only a loading script"),
            ({"a.png": b"x", "README.md": b"#"}, "No data in this dataset"),
        ],
    )
    def test_without_files_of_rows(
        self, hub: FakeHub, home: Home, files: dict[str, bytes], title: str
    ) -> None:
        hub.add_dataset(NAME, files)
        said = refused(home)
        assert said.title == title
        assert hub.asked("answers.py") == []

    @pytest.mark.parametrize(
        ("status", "title"),
        [(403, "Token refused"), (429, "Too many requests"), (500, "The hub has a problem")],
    )
    def test_a_hub_on_a_bad_day(
        self, offered: Repo, hub: FakeHub, home: Home, status: int, title: str
    ) -> None:
        hub.status = status
        assert refused(home, token=TOKEN).title == title

    def test_a_disk_without_room(
        self, offered: Repo, hub: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = type("Usage", (), {"free": 1000})()
        monkeypatch.setattr("studio.preparer.hub_datasets.shutil.disk_usage", lambda path: full)
        assert refused(home).title == "Not enough room"
        assert hub.asked(SHARDS[0]) == []

    def test_through_the_process_a_refusal_is_advice(
        self, offered: Repo, preparer: Preparer
    ) -> None:
        with pytest.raises(StudioError) as raised:
            preparer.inspect([DatasetPart(path="org/absent")])
        assert raised.value.title == "Not on the hub"


def test_a_damaged_note_is_no_copy(offered: Repo, home: Home) -> None:
    found = hub_datasets.fetch(home, part())
    (Path(found.path) / library.NOTE).write_text(json.dumps({"repo": 3}), "utf-8")
    assert hub_datasets.fetch(home, part()) == found
