"""What the serving dialog shows: the question, the wait, and how to connect."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QWidget

from studio.core.events import Serving
from studio.library import serving
from studio.ui.widgets import (
    Button,
    ComboBox,
    ElidedLabel,
    Field,
    IconButton,
    NumberEdit,
    Pill,
    ProgressBar,
    Segmented,
    column,
    label,
    row,
)

HIDDEN = "•" * 24
NAME_WIDTH = 72
CODE_HEIGHT = 172


class Question(QWidget):
    """What will happen, and the port."""

    def __init__(self) -> None:
        super().__init__()
        self.text = label("", "sub", wrap=True)
        self.port = NumberEdit(
            "Port", whole=True, minimum=0, maximum=65535, empty=0, placeholder="Any"
        )
        self.start = Button("Start", "primary", "play")
        self.leave = Button("Cancel")
        hint = "Left empty: the usual one, or another that is free."
        self.setLayout(
            column(
                self.text, Field("Port", self.port, hint), row(self.leave, None, self.start),
                spacing=12,
            )
        )  # fmt: skip


class Wait(QWidget):
    """The model is being loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = ProgressBar("Progress of the start")
        self.bar.set_value(None)
        self.stage = label("", "sub", wrap=True)
        self.stop = Button("Cancel", "", "x")
        self.setLayout(column(self.bar, self.stage, row(self.stop, None), spacing=12))


class Connection(QWidget):
    """Address, key and model names, each with a button that copies it; examples; Stop."""

    def __init__(self) -> None:
        super().__init__()
        self._key = ""
        self._told = Serving(address="", models=())
        self.state = Pill("Serving", "ok")
        self.count = label("", "sub")
        self.address, self.key = ElidedLabel("", "mono"), ElidedLabel("", "mono")
        self.model = ComboBox("Model")
        self.show_key = IconButton("eye", "Show the key")
        self.show_key.setCheckable(True)
        self.copies = {
            name: IconButton("copy", f"Copy the {name}") for name in ("address", "key", "model")
        }
        self.kinds = Segmented("Example", [(n, n) for n, _ in serving.examples("", "", "")])
        self.kinds.set_value("curl")
        self.code = _Code()
        self.copy_code = Button("Copy", "", "copy", "Copy this example, with the key")
        self.stop = Button("Stop serving", "danger", "x")
        self.hide_button = Button("Close", "primary", "", "It goes on until you stop it")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        lines = (
            _line("Address", self.address, self.copies["address"]),
            _line("Key", self.key, self.show_key, self.copies["key"]),
            _line("Model", self.model, self.copies["model"]),
        )
        note = label(
            "Only programs on this computer can connect, and only with the key. Serving ends with "
            "this window.",
            "mute",
            wrap=True,
        )
        self.setLayout(
            column(
                row(self.state, self.count, None), *lines, 2,
                row(self.kinds, None, self.copy_code), self.code, note,
                row(self.stop, None, self.hide_button), spacing=10,
            )
        )  # fmt: skip

    def _connect(self) -> None:
        self.show_key.toggled.connect(lambda _: self._draw())
        self.kinds.selected.connect(lambda _: self._draw())
        self.model.currentIndexChanged.connect(lambda _: self._draw())
        told = {
            "address": lambda: self._told.address,
            "key": lambda: self._key,
            "model": self.model.value,
        }
        for name, button in self.copies.items():
            button.clicked.connect(lambda _=False, what=told[name]: _copy(what()))
        self.copy_code.clicked.connect(lambda: _copy(self._example(self._key)))

    def show_key_of(self, key: str) -> None:
        """The key that programs need."""
        self._key = key
        self._draw()

    def show_server(self, told: Serving) -> None:
        """Where it answers, by which names, and how much it was asked."""
        if told.models != self._told.models:
            self.model.set_choices([(name, name) for name in told.models])
            self.model.set_value(told.models[-1])
        self._told = told
        self.count.setText(requests(told))
        self._draw()

    def _draw(self) -> None:
        shown = self._key if self.show_key.isChecked() else HIDDEN
        self.address.setText(self._told.address)
        self.key.setText(shown)
        self.code.setPlainText(self._example(shown))

    def _example(self, key: str) -> str:
        found = serving.examples(self._told.address, key, self.model.value())
        return dict(found)[self.kinds.value()]


class _Code(QPlainTextEdit):
    """Words to copy; Tab leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setProperty("mono", True)
        self.setAccessibleName("How a program connects")
        self.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.setFixedHeight(CODE_HEIGHT)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)


def requests(told: Serving) -> str:
    """How much it was asked, for people."""
    if not told.requests:
        return "No request yet"
    words = f"{told.requests:,} request" + ("s" if told.requests != 1 else "")
    return f"{words}, {told.active} being answered" if told.active else words


def _line(name: str, *parts: QWidget) -> QHBoxLayout:
    title = label(name, "mute")
    title.setFixedWidth(NAME_WIDTH)
    title.setBuddy(parts[0])
    made = row(title, *parts, spacing=6)
    made.setStretch(1, 1)
    return made


def _copy(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
