"""Templates that loop, grow, nest or crash: an error that names them, and nothing else happens."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.client.cancelled import Cancelled
from studio.client.preparer import Preparer
from studio.core.errors import StudioError
from studio.core.recipe import DataPart, DatasetPart
from studio.library.chat_templates import ChatTemplate
from studio.library.folders import Home
from studio.preparer import renderer, rendering
from studio.preparer.messages import BadRow
from studio.preparer.rendering import Renderer
from studio.preparer.spans import Chat, Rendered

CHAT = Chat(({"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}))
LIMITED = sys.platform == "linux"  # elsewhere who takes all memory is killed, wherever it is
GOOD = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
LONG = "{% for a in range(99999) %}{% for b in range(99999) %}"
ENDS = "{% endfor %}{% endfor %}"
GROWS = "{% set n = namespace(x='aaaaaaaa') %}\n{% for i in range(99) %}{% set n.x = n.x ~ n.x %}"


def renderers() -> list[psutil.Process]:
    """The processes that render for this one, or for a preparer of it."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may be gone, and not yet waited for
            if "--render" in child.cmdline():
                found.append(child)
    return found


def rendered(text: str) -> Rendered | BadRow:
    return Renderer(ChatTemplate(text=text, source="mine.jinja"), {}).rendered([CHAT])[0]


@pytest.mark.parametrize(
    ("text", "title", "line"),
    [
        (f"\n\n{LONG}{ENDS}", "never ends", 3),
        (f"\n\n{LONG}x{ENDS}", "never ends", 0),
        ("{% macro f(n) %}\n{{ f(n - 1) ~ f(n - 1) if n else 1 }}\n{% endmacro %}{{ f(60) }}",
         "never ends", 2),
        ("{{ ('a' * 40000 + '!') | replace('a', 'b' * 40000) }}", "takes all memory", 1),
        ("\n{{ 'a' * 10**10 }}", "takes all memory", 0),
        (f"{GROWS}{{% endfor %}}", "takes all memory", 2),
        ("\n{{ (messages | length) * 10**9 * 'a' }}", "takes all memory", 2),
        ("\n{{ 7 ** (7 ** (7 ** 7)) }}", "never ends", 0),
        ("\n\n{% for %}", "is broken", 3),
        ("{% if x %}" * 200 + "{% endif %}" * 200, "is broken", 0),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "is broken", 0),
        ("{{ x | nothing }}", "is broken", 1),
    ],
)  # fmt: skip
def test_a_template_out_of_hand_is_an_error_that_names_it(text: str, title: str, line: int) -> None:
    with pytest.raises(StudioError, match=title) as caught:
        rendered(text)
    assert "mine.jinja" in caught.value.text
    assert not line or f"(line {line})" in caught.value.text or not LIMITED
    assert [problem.field for problem in caught.value.problems] == ["data.template"]


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10**12) %}x{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ messages.nothing.at_all }}",
        "{{ raise_exception('No.') }}",
        "{{ 1 / 0 }}",
        "{% include 'other' %}",
    ],
)
def test_what_a_template_refuses_is_said_of_the_row_with_the_line(text: str) -> None:
    row = rendered(f"\n{text}")
    assert isinstance(row, BadRow)
    assert "(line 2)" in row.why


def test_the_next_chat_goes_on_after_one_that_was_ended() -> None:
    text = "{% if messages[0].content == 'loop' %}" + LONG + ENDS + "{% endif %}" + GOOD
    loop = Chat(({"role": "user", "content": "loop"}, {"role": "assistant", "content": "no"}))
    one = Renderer(ChatTemplate(text=text, source="mine.jinja"), {})
    for _ in range(2):
        assert isinstance(one.rendered([CHAT])[0], Rendered)
        with pytest.raises(StudioError, match="never ends"):
            one.rendered([CHAT, loop])
    one.close()


def test_large_rows_pass_and_are_no_memory_bomb() -> None:
    large = Chat(({"role": "user", "content": "x" * 12_000_000}, CHAT.messages[1]))
    (row,) = Renderer(ChatTemplate(text=GOOD, source="mine.jinja"), {}).rendered([large])
    assert isinstance(row, Rendered)
    assert len(row.text) > 12_000_000


def test_the_process_ends_with_the_renderer() -> None:
    one = Renderer(ChatTemplate(text=GOOD, source="mine.jinja"), {})
    one.rendered([CHAT])
    (child,) = renderers()
    del one
    assert not child.is_running()


def test_a_looping_template_never_takes_the_preparer_along(
    home: Home, tiny_model: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "chat_template.jinja").write_text(f"\n{LONG}{ENDS}", encoding="utf-8")
    sample = [DatasetPart(path="sample")]
    with Preparer(home) as preparer:
        preparer.inspect(sample)
        before = {child.pid for child in psutil.Process().children()}
        began = time.monotonic()
        for ask in (preparer.inspect, preparer.examples):
            with pytest.raises(StudioError, match="never ends") as caught:
                ask(sample, model)
            assert "chat_template.jinja" in caught.value.text
            assert "(line 2)" in caught.value.text
        assert time.monotonic() - began < 8 * renderer.ROW_SECONDS
        found = preparer.examples(sample, model, DataPart(template="chatml"), count=1)
        assert found[0].pieces
        assert before <= {child.pid for child in psutil.Process().children()}


def test_a_looping_template_ends_after_its_preparer(
    home: Home, tiny_model: Path, tmp_path: Path
) -> None:
    loop = tmp_path / "loop.jinja"
    loop.write_text(f"{LONG}{ENDS}", encoding="utf-8")
    found: list[psutil.Process] = []

    def rendering_now() -> bool:
        found[:] = renderers()
        return bool(found)

    data = DataPart(template=str(loop))
    with Preparer(home) as preparer, pytest.raises(Cancelled):
        preparer.inspect([DatasetPart(path="sample")], tiny_model, data, None, rendering_now)
    _, alive = psutil.wait_procs(found, timeout=2 * renderer.ROW_SECONDS)
    assert found
    assert not alive


WORDS = st.sampled_from(
    [
        "messages", "m", "m.content", "m.role", "m['content']", "x", "loop.index", "tools", "none",
        "'a'", "9", "-1", "1e308", "[]", "{}", "namespace", "range(9)", "range(99999)", "dict", "f",
        "cycler", "joiner", "lipsum", "self", "super", "caller", "varargs", "raise_exception('x')",
    ]
)  # fmt: skip
FILTERS = st.sampled_from(
    ["", "|length", "|tojson", "|trim", "|list", "|join('a')", "|int", "|center(99999999)",
     "|map('upper')|list", "|batch(3)|list", "|string", "|reverse", "|safe", "|pprint", "()",
     ".append(1)", ".__class__", "[0]", "[::-1]", "[:9]", "|groupby('role')", "|indent(999)",
     "|format(1)", "|wordwrap(1)", "|xmlattr", "|sum", "|dictsort", "|random", "|urlize"]
)  # fmt: skip
JOINS = st.sampled_from(["+", "*", "~", "**", "//", "%", "-", "in", "is", "and", "==", "<", "if"])
EXPRESSIONS = st.recursive(
    st.builds("{}{}".format, WORDS, FILTERS),
    lambda inner: st.builds("({} {} {})".format, inner, JOINS, inner),
    max_leaves=4,
)
PIECES = st.recursive(
    st.one_of(
        st.text(max_size=8),
        st.builds("{{{{ {} }}}}".format, EXPRESSIONS),
        st.builds("{{% set x = {} %}}".format, EXPRESSIONS),
        st.sampled_from(["{%", "%}", "{{", "{#", "{% endfor %}", "{% break %}", "{% raw %}"]),
    ),
    lambda inner: st.one_of(
        st.builds("{{% for m in {} %}}{}{{% endfor %}}".format, EXPRESSIONS, inner),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, EXPRESSIONS, inner, inner),
        st.builds("{{% macro f(x) %}}{}{{% endmacro %}}{{{{ f({}) }}}}".format, inner, EXPRESSIONS),
        st.builds("{{% generation %}}{}{{% endgeneration %}}".format, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=6,
)


def test_no_template_whatever_hangs_or_falls() -> None:
    with rendering.warm():
        any_template()


@settings(max_examples=120)
@given(text=PIECES)
def any_template(text: str) -> None:
    began = time.monotonic()
    one = Renderer(ChatTemplate(text=text, source="mine.jinja"), {})
    said = ""
    try:
        assert isinstance(one.rendered([CHAT])[0], Rendered | BadRow)
        one.close()
    except StudioError as error:
        said = error.problems[0].text
    assert not said or "mine.jinja" in said
    assert time.monotonic() - began < 6 * renderer.ROW_SECONDS
