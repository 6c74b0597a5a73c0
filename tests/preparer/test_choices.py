"""Which chat templates may be chosen for a model, and what each makes of a chat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studio.core.errors import StudioError
from studio.library import chat_templates, resources
from studio.preparer.choices import choices


def test_all_of_the_studios_and_which_fit(family: Callable[[str], Path], tiny_model: Path) -> None:
    found = {one.name: one for one in choices(tiny_model)}
    assert list(found) == ["", *chat_templates.MARKS]
    assert {name for name, one in found.items() if one.fits} == {"", "chatml", "qwen"}
    assert found["gemma"].missing == ("<end_of_turn>", "<start_of_turn>")
    assert found["qwen"].preview.endswith("<|im_start|>assistant\n4<|im_end|>\n")
    assert not any(one.problem for one in found.values())
    assert "gemma" in {one.name for one in choices(family("gemma")) if one.fits}
    shipped = {path.stem for path in resources.path("templates").glob("*.jinja")}
    assert shipped == set(chat_templates.MARKS)


def test_a_file_of_ones_own_and_a_system_prompt(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}", "utf-8")
    (one,) = choices(tiny_model, str(file), "Be kind.")
    assert (one.source, one.problem) == ("mine.jinja", "")
    assert one.preview.startswith("[system] Be kind.\n[user] What is 2 + 2?\n")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("broken.jinja", b"\n{% for %}", "broken.jinja (line 2) can't be read"),
        ("picky.jinja", b"{{ raise_exception('Never.') }}", "A short chat is refused"),
        ("bytes.jinja", b"\xff\xfe\xfa", "can't be read"),
        ("large.jinja", b" " * 2_000_000, "more than a megabyte"),
        ("absent.jinja", None, "No such file"),
        ("other.txt", b"x", "neither a chat template of the studio nor a .jinja file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_beside_it(
    tiny_model: Path, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    (one,) = choices(tiny_model, str(file))
    assert said in one.problem
    assert not one.fits


def test_a_model_without_tokenizer_is_no_choice(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no tokenizer"):
        choices(tmp_path)
