"""Names of files to splits and configurations, as the hub reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import StudioError
from studio.preparer.layout import choose, configs_in


def readme(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", "# Title"])


@pytest.mark.parametrize(
    ("names", "train", "evaluation"),
    [
        (["a.csv"], ["a.csv"], []),
        (["train.csv", "test.csv"], ["train.csv"], ["test.csv"]),
        (["my_train_1.csv", "my_dev_1.csv"], ["my_train_1.csv"], ["my_dev_1.csv"]),
        (["training/a.csv", "val/a.csv"], ["training/a.csv"], ["val/a.csv"]),
        (["contest.csv", "latest.csv"], ["contest.csv", "latest.csv"], []),
        (["test.csv"], ["test.csv"], []),
        (["a.csv", "README.md", "dataset_info.json", ".x/a.csv", "a.py"], ["a.csv"], []),
    ],
)
def test_splits_by_name(names: list[str], train: list[str], evaluation: list[str]) -> None:
    chosen = choose(names, "", "", "")
    assert (chosen.train, chosen.evaluation) == (train, evaluation)


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("data/*.csv", ["data/a.csv"]),
        ("./data/*.csv", ["data/a.csv"]),
        ("**/*.csv", ["b.csv", "data/a.csv", "data/in/c.csv"]),
        ("data/**", ["data/a.csv", "data/in/c.csv"]),
        ("?.csv", ["b.csv"]),
        ("data/[ab].csv", ["data/a.csv"]),
        ("data", []),
    ],
)
def test_patterns_of_the_readme(pattern: str, matched: list[str]) -> None:
    names = ["b.csv", "data/a.csv", "data/in/c.csv"]
    text = readme("configs:", "- config_name: default", f'  data_files: "{pattern}"')
    assert choose(names, text, "", "").train == matched


@pytest.mark.parametrize(
    "lines",
    [
        ('  data_files: {train: "a.csv", test: "b.csv"}',),
        ("  data_files:", "  - {split: train, path: a.csv}", "  - {split: test, path: [b.csv]}"),
    ],
)
def test_splits_of_the_readme(lines: tuple[str, ...]) -> None:
    text = readme("configs:", "- config_name: one", *lines)
    chosen = choose(["a.csv", "b.csv", "c.csv"], text, "", "")
    assert (chosen.train, chosen.evaluation, chosen.config) == (["a.csv"], ["b.csv"], "one")
    assert choose(["a.csv", "b.csv"], text, "one", "test").train == ["b.csv"]


def test_a_folder_named_by_data_dir() -> None:
    text = readme("configs:", "- {config_name: x, data_dir: sub, data_files: '*.csv'}")
    assert choose(["a.csv", "sub/b.csv"], text, "x", "").train == ["sub/b.csv"]


@pytest.mark.parametrize("text", ["", "# Title", "---\n: [\n---", "---\nconfigs: 3\n---",
                                  "---\nconfigs: [3, {}]\n---", "---\n- a\n---"])  # fmt: skip
def test_a_readme_that_says_nothing(text: str) -> None:
    assert configs_in(text) == []
    assert choose(["a.csv"], text, "", "").train == ["a.csv"]


@given(st.lists(st.text(max_size=12)), st.text(), st.text(max_size=5), st.text(max_size=5))
def test_no_names_make_it_fail(names: list[str], text: str, config: str, split: str) -> None:
    try:
        chosen = choose(names, text, config, split)
    except StudioError:
        return
    assert set(chosen.train) | set(chosen.evaluation) <= set(names)
    assert not set(chosen.train) & set(chosen.evaluation)
