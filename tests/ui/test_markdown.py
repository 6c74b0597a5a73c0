"""Markdown of models: shown well as it grows, and whatever it says nothing is loaded or opened."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QTextCursor, QTextTable
from pytestqt.qtbot import QtBot

from studio.ui.theme import Mode, Theme
from studio.ui.widgets import ConfirmDialog
from studio.ui.widgets.markdown import MarkdownView
from studio.ui.widgets.markdown.blocks import LONG_PROSE, Block, split
from studio.ui.widgets.markdown.breaks import MARK
from studio.ui.widgets.markdown.code import Code
from studio.ui.widgets.markdown.prose import Prose, Sealed
from tests.ui.show import Show

pytestmark = pytest.mark.gui
TEXT = """# Title
Some **bold** and `code`.

- one
- two

```python
def f():
    return 1
```

| a | b |
|---|---|
| 1 | 2 |
"""


def shown(view: MarkdownView) -> str:
    return "\n".join(
        part.text() if isinstance(part, Code) else part.toPlainText() for part in view.parts
    )


@pytest.fixture
def view(show: Show) -> MarkdownView:
    made = MarkdownView()
    made.resize(600, 400)
    show(made)
    return made


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("plain", [Block("prose", "plain")]),
        (
            "a\n```py\nx\n```\nb",
            [Block("prose", "a"), Block("code", "x", "py"), Block("prose", "b")],
        ),
        ("```\nopen", [Block("code", "open")]),
        ("~~~~\n```\n~~~\n~~~~", [Block("code", "```\n~~~")]),
        ("``` not `a` fence\nx", [Block("prose", "``` not `a` fence\nx")]),
        ("  ```c\n    x\n y\n  ```", [Block("code", "  x\ny", "c")]),
        ("````\n```\n````", [Block("code", "```")]),
        ("    ```\n    x", [Block("prose", "    ```\n    x")]),
        ("```js title=x\r\n1\r\n```\r\n", [Block("code", "1", "js")]),
    ],
)
def test_fences(text: str, blocks: list[Block]) -> None:
    assert split(text) == blocks


def test_long_prose_is_cut_where_nothing_is_torn() -> None:
    text = "\n\n".join(f"Paragraph {n} " + "word " * 60 for n in range(40))
    parts = split(text)
    assert len(parts) > 3
    assert all(len(part.text) < LONG_PROSE + 1000 for part in parts)
    listed = "- x\n\n" + "\n\n".join(f"- item {n} " + "word " * 60 for n in range(40))
    assert len(split(listed)) == 1
    table = "| a |\n|---|\n" + "\n".join(f"| {n} {'x' * 80} |" for n in range(90))
    assert len(split(table)) == 1


def test_it_grows_to_what_it_would_be_at_once(view: MarkdownView, qtbot: QtBot) -> None:
    for end in range(0, len(TEXT), 3):
        view.show_text(TEXT[:end])
    view.show_text(TEXT)
    whole = MarkdownView()
    qtbot.addWidget(whole)
    whole.show_text(TEXT)
    assert shown(view) == shown(whole)
    assert [type(part) for part in view.parts] == [Prose, Code, Prose]
    first = view.parts[0]
    view.show_text(TEXT + "\nmore")
    assert view.parts[0] is first, "only the end was drawn anew"
    view.show_text("Something else")
    assert len(view.parts) == 1


def test_headings_lists_tables_and_code_are_what_they_say(view: MarkdownView) -> None:
    view.show_text(TEXT)
    prose, code, rest = view.parts
    assert isinstance(prose, Prose)
    assert isinstance(code, Code)
    assert isinstance(rest, Prose)
    block = prose.document().begin()
    assert block.blockFormat().headingLevel() == 1
    size = block.begin().fragment().charFormat().font().pixelSize()
    assert size > prose.document().defaultFont().pixelSize()
    assert prose.document().findBlockByNumber(2).textList() is not None
    frames = rest.document().rootFrame().childFrames()
    assert any(isinstance(frame, QTextTable) for frame in frames)
    assert (code.language.text(), code.text()) == ("python", "def f():\n    return 1")
    code.copy.click()
    assert QGuiApplication.clipboard().text() == "def f():\n    return 1"
    assert "Copied" in code.copy.text()


def test_line_breaks_are_kept(view: MarkdownView) -> None:
    view.show_text("A: 1\n**B**: 2\n\n# Head\n- x\n- y\n\n| a |\n|---|\n| 1 |\n\nTitle\n===\nend")
    (prose,) = view.parts
    assert isinstance(prose, Prose)
    assert prose.toPlainText().startswith("A: 1\nB: 2\nHead\nx\ny")
    levels = []
    block = prose.document().begin()
    while block.isValid():
        levels.append(block.blockFormat().headingLevel())
        block = block.next()
    assert [level for level in levels if level] == [1, 1]
    assert MARK not in prose.toPlainText()
    assert prose.document().begin().blockFormat().bottomMargin() == 0
    assert prose.document().begin().next().blockFormat().bottomMargin() > 0
    frames = prose.document().rootFrame().childFrames()
    assert any(isinstance(frame, QTextTable) for frame in frames)


def test_it_is_as_high_as_its_text(view: MarkdownView, qtbot: QtBot) -> None:
    view.show_text("word " * 200)
    prose = view.parts[0]
    qtbot.waitUntil(lambda: prose.height() > 100)
    high = prose.height()
    view.resize(250, 400)
    qtbot.waitUntil(lambda: prose.height() > high)


HOSTILE = """
![a](file:///{0}) ![b](http://127.0.0.1:{1}/x.png) ![c](\\\\\\\\host\\share\\x.png)
![d]({0}) ![e](data:image/png;base64,iVBORw0KGgo=) ![f][ref]
<img src="file:///{0}"> <link rel="stylesheet" href="http://127.0.0.1:{1}/x.css">
<style>@import url("http://127.0.0.1:{1}/y.css"); body {{ background: url("file:///{0}") }}</style>
<iframe src="http://127.0.0.1:{1}/"></iframe> <script>alert(1)</script>
<a href="file:///{0}">x</a> [y](javascript:alert(1)) <http://127.0.0.1:{1}/auto>

| ![t](file:///{0}) |
|---|
| <img src="http://127.0.0.1:{1}/z.png"> |

[ref]: file:///{0}

```html
<img src="http://127.0.0.1:{1}/code.png">
```
"""


def test_hostile_text_loads_nothing(
    view: MarkdownView, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PySide6.QtGui import QImage

    picture = tmp_path / "picture.png"
    image = QImage(64, 64, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF)
    assert image.save(str(picture))
    opened: list[QUrl] = []
    asked: list[object] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    for kind in (Sealed, Prose):
        monkeypatch.setattr(kind, "loadResource", lambda self, kind, name: asked.append(name))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        text = HOSTILE.format(picture, port)
        for end in range(0, len(text), 40):
            view.show_text(text[:end])
            qtbot.wait(1)
        view.show_text(text)
        drawn = view.grab().toImage()
        with pytest.raises(TimeoutError):
            server.accept()
    assert not opened
    for part in view.parts:
        if not isinstance(part, Prose):
            continue
        assert "\N{OBJECT REPLACEMENT CHARACTER}" not in part.toPlainText(), "an image is left"
        assert not asked, "a resource was asked for"
    loud = [
        (x, y)
        for x in range(0, drawn.width(), 7)
        for y in range(0, drawn.height(), 7)
        if drawn.pixel(x, y) & 0xFFFFFF == 0xFF00FF
    ]
    assert not loud, "the picture was drawn"
    assert "<script>alert(1)</script>" in shown(view), "markup is shown as text"


@pytest.mark.parametrize(
    ("address", "offered"),
    [
        ("https://example.com/a?b=1", {"copy", "open"}),
        ("file:///etc/passwd", {"copy"}),
        ("javascript:alert(1)", {"copy"}),
        ("smb://host/share", {"copy"}),
        ("http:", {"copy"}),
    ],
)
def test_a_link_is_opened_after_a_yes_alone(
    view: MarkdownView, address: str, offered: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    asked: list[ConfirmDialog] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))

    def ask(dialog: ConfirmDialog) -> str:
        asked.append(dialog)
        return answers.pop()

    monkeypatch.setattr(ConfirmDialog, "ask", ask)
    view.show_text(f"[click here](<{address}>)")
    prose = view.parts[0]
    assert isinstance(prose, Prose)
    answers = ["", "open" if "open" in offered else "copy"]
    answers.reverse()
    prose.anchorClicked.emit(QUrl(address))
    assert not opened
    prose.anchorClicked.emit(QUrl(address))
    assert set(asked[0].buttons) == offered
    assert QUrl(address).toString() in asked[0].accessibleDescription()
    assert opened == ([address] if "open" in offered else [])


def test_what_is_selected_stays_selected_while_it_grows(view: MarkdownView) -> None:
    view.show_text("Some words here")
    prose = view.parts[0]
    assert isinstance(prose, Prose)
    cursor = QTextCursor(prose.document())
    cursor.setPosition(5)
    cursor.setPosition(10, QTextCursor.MoveMode.KeepAnchor)
    prose.setTextCursor(cursor)
    view.show_text("Some words here and more")
    assert prose.textCursor().selectedText() == "words"


def test_colours_follow_the_theme(view: MarkdownView, themed: Theme) -> None:
    view.show_text("[link](https://example.com) and `code`")
    prose = view.parts[0]
    assert isinstance(prose, Prose)

    def colour() -> str:
        fragment = prose.document().begin().begin().fragment()
        return fragment.charFormat().foreground().color().name().upper()

    dark = colour()
    themed.apply(Mode.LIGHT)
    assert colour() != dark
    assert colour() == themed.tokens.accent_text.upper()
