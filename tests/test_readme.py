"""README's map names every file, in the words of the file itself."""

from __future__ import annotations

from tests.support.clone import PACKAGING  # puts packaging/ on the path

import file_map  # isort: skip


def test_the_map_is_the_tree() -> None:
    readme = file_map.README.read_text("utf-8")
    wanted = file_map.described(readme, file_map.tracked())
    advice = f"run python {PACKAGING.name}/file_map.py"
    missing = set(wanted.splitlines()) - set(file_map.current(readme).splitlines())
    assert sorted(missing) == [], advice
    assert file_map.current(readme) == wanted, advice


def test_every_file_says_what_it_is() -> None:
    lines = file_map.current(file_map.README.read_text("utf-8")).splitlines()
    assert [line for line in lines if line.endswith(" — ")] == []
