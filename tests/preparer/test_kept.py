"""What is kept of reports and prepared rows: used again, never stale, never damaged."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.core.facts import DatasetReport, Prepared
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe
from studio.preparer import digests, kept
from studio.preparer.cache import Cache
from studio.preparer.prepare import prepare
from studio.preparer.progress import silent
from studio.preparer.report import inspect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is kept on Windows")
WORDS = ("morning", "evening", "kitchen", "mountain")


class Studio:
    """A dataset and a model of its own, and how often something was really made of them."""

    def __init__(self, root: Path, model: Path) -> None:
        self.root = root
        self.set = root / "set"
        self.set.mkdir(parents=True)
        self.model = shutil.copytree(model, root / "model")
        self.cache = Cache(root / "cache")
        self.data, self.part, self.seed = DataPart(), DatasetPart(path=str(self.set)), 1
        self.made = 0
        self.write("a.jsonl", ["morning"] * 9 + ["evening"] * 12)

    def write(self, name: str, answers: list[str]) -> None:
        rows = (
            {"prompt": f"{i}?", "completion": answer, "other": "x"}
            for i, answer in enumerate(answers)
        )
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.set / name).write_text(text, encoding="utf-8")

    def inspected(self) -> DatasetReport:
        asked = (self.part,), self.model, self.data

        def make() -> DatasetReport:
            self.made += 1
            return inspect(*asked, seed=self.seed)

        return kept.report(self.cache, *asked, self.seed, make, silent)

    def fresh(self) -> DatasetReport:
        return inspect((self.part,), self.model, self.data, seed=self.seed)

    @property
    def recipe(self) -> Recipe:
        recipe = Recipe(model=ModelPart(path="x"), dataset=(self.part,), data=self.data)
        training = msgspec.structs.replace(recipe.training, seed=self.seed)
        return msgspec.structs.replace(recipe, training=training)

    def prepared(self, name: str) -> Prepared:
        folder, recipe = self.root / name, self.recipe

        def make() -> Prepared:
            self.made += 1
            return prepare(folder, recipe, self.model)

        asked = folder, recipe.dataset, self.model, self.data, self.seed
        return kept.prepared(self.cache, *asked, make, silent)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written just now are old."""
    monkeypatch.setattr(digests, "now", lambda: time.time_ns() + 2 * digests.YOUNG_NS)


@pytest.fixture
def studio(tmp_path: Path, tiny_model: Path) -> Studio:
    return Studio(tmp_path / "one", tiny_model)


def edit_in_place(studio: Studio, word: str) -> None:
    """Another content of the same size, with the times of before."""
    path = studio.set / "a.jsonl"
    about, text = path.stat(), path.read_text("utf-8")
    other = text.replace('"x"', '"y"', 1) if '"x"' in text else text.replace('"y"', '"x"', 1)
    with path.open("r+", encoding="utf-8") as file:
        file.write(other.replace("evening", word[:7]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def more_rows(studio: Studio, word: str) -> None:
    studio.write("b.jsonl", [word] * 5)


def fewer_files(studio: Studio, word: str) -> None:
    (studio.set / "b.jsonl").unlink(missing_ok=True)


def other_name(studio: Studio, word: str) -> None:
    (studio.set / "a.jsonl").rename(studio.set / "c.jsonl")
    (studio.set / "c.jsonl").rename(studio.set / "a.jsonl")
    studio.write(f"{word}.test.jsonl", [word])


def other_template(studio: Studio, word: str) -> None:
    template = "{% for m in messages %}" + word + "{{ m.content }}<|im_end|>{% endfor %}"
    (studio.model / "chat_template.jinja").write_text(template, encoding="utf-8")


def other_tokenizer(studio: Studio, word: str) -> None:
    path = studio.model / "tokenizer.json"
    spoken = json.loads(path.read_text("utf-8"))
    spoken["model"]["merges"] = spoken["model"]["merges"][: 60 + len(word)]
    path.write_text(json.dumps(spoken), encoding="utf-8")


def other_length(studio: Studio, word: str) -> None:
    studio.data = msgspec.structs.replace(studio.data, max_length=16 + len(word))


def other_prompt(studio: Studio, word: str) -> None:
    studio.data = msgspec.structs.replace(studio.data, system_prompt=word)


def other_training(studio: Studio, word: str) -> None:
    train_on = "everything" if studio.data.train_on == "assistant" else "assistant"
    studio.data = msgspec.structs.replace(studio.data, train_on=train_on)


def other_columns(studio: Studio, word: str) -> None:
    columns = {} if studio.part.columns else {"text": "completion"}
    studio.part = msgspec.structs.replace(studio.part, columns=columns)


def other_limit(studio: Studio, word: str) -> None:
    studio.part = msgspec.structs.replace(studio.part, limit=len(word))


def other_seed(studio: Studio, word: str) -> None:
    studio.seed += 1


EDITS: tuple[Callable[[Studio, str], None], ...] = (
    edit_in_place, more_rows, fewer_files, other_name, other_template, other_tokenizer,
    other_length, other_prompt, other_training, other_columns, other_limit, other_seed,
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.sampled_from(EDITS), st.sampled_from(WORDS)), max_size=3))
def test_whatever_is_edited_the_report_is_as_if_nothing_were_kept(
    edits: list[tuple[Callable[[Studio, str], None], str]],
    later: None,
    tiny_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("edited")
    studio = Studio(root / "set", tiny_model)
    studio.inspected()
    for edit, word in edits:
        edit(studio, word)
        assert studio.inspected() == studio.fresh()
        assert studio.inspected() == studio.fresh()
    shutil.rmtree(root)


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_is_noticed(studio: Studio, later: None, edit: object) -> None:
    more_rows(studio, "kitchen")
    studio.inspected()
    studio.inspected()
    assert studio.made == 1
    edit(studio, "evening")  # type: ignore[operator]
    assert studio.inspected() == studio.fresh()
    assert studio.made == 2


def test_other_code_makes_a_new_report(
    studio: Studio, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.inspected()
    monkeypatch.setattr(digests, "of_code", lambda: "newer")
    studio.inspected()
    assert studio.made == 2
    monkeypatch.setattr(digests, "of_code", lambda: "")
    studio.inspected()
    studio.inspected()
    assert studio.made == 4


def test_what_was_written_a_moment_ago_is_not_kept(studio: Studio) -> None:
    studio.inspected()
    studio.prepared("run")
    studio.inspected()
    assert studio.made == 3
    assert not (studio.root / "cache").exists()


def test_a_file_that_changes_while_it_is_read_is_not_kept(studio: Studio, later: None) -> None:
    asked = (studio.part,), studio.model, studio.data

    def make() -> DatasetReport:
        before = (studio.set / "a.jsonl").read_bytes()
        studio.write("a.jsonl", ["mountain"] * 3)
        found = studio.fresh()
        (studio.set / "a.jsonl").write_bytes(before)
        return found

    assert kept.report(studio.cache, *asked, studio.seed, make, silent).rows == 3
    assert studio.inspected().rows == 21


def test_two_runs_share_the_bytes_of_their_rows(studio: Studio, later: None) -> None:
    first, second = studio.prepared("one"), studio.prepared("two")
    assert (studio.made, first) == (1, second)
    one, two = (studio.root / name / "data" for name in ("one", "two"))
    fresh = prepare(studio.root / "fresh", studio.recipe, studio.model)
    assert fresh == first
    for path in (studio.root / "fresh" / "data").iterdir():
        assert (one / path.name).read_bytes() == (two / path.name).read_bytes()
        assert (two / path.name).read_bytes() == path.read_bytes()
        assert path.suffix != ".arrow" or (one / path.name).samefile(two / path.name)
    shutil.rmtree(studio.root / "one")
    assert studio.prepared("two") == first
    edit_in_place(studio, "kitchen")
    assert studio.prepared("three").digest != first.digest
    assert studio.made == 2


@pytest.mark.parametrize("name", ["train.arrow", "manifest.json", "sums.json"])
def test_damage_is_not_handed_on(studio: Studio, later: None, name: str) -> None:
    before = studio.prepared("one")
    (entry,) = (studio.root / "cache").iterdir()
    content = bytearray((entry / name).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / name).write_bytes(content)
    assert studio.prepared("two") == before
    assert studio.made == 2
    shutil.rmtree(next((studio.root / "cache").iterdir()))
    assert studio.prepared("two") == before
    assert studio.made == 3


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", most_bytes=3_500)

    def keep(key: str, bytes_: int = 1_000) -> None:
        def write(folder: Path) -> None:
            (folder / "a").write_bytes(b"x" * bytes_)

        cache.keep(key, write)

    for place, key in enumerate("abc"):
        keep(key)
        os.utime(tmp_path / "cache" / key, (place, place))
    assert cache.find("a")
    keep("d")
    assert [key for key in "abcd" if cache.find(key)] == ["a", "c", "d"]
    keep("large", 9_000)
    assert [key for key in ("a", "c", "d", "large") if cache.find(key)] == ["large"]


def test_a_folder_that_can_not_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    cache = Cache(tmp_path / "cache")
    cache.keep("a", lambda folder: None)
    assert cache.find("a") is None
