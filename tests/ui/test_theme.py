"""The theme: readable in both schemes, and followed by what is on screen."""

from __future__ import annotations

from dataclasses import fields

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from studio.ui import icons, theme
from studio.ui.theme import DARK, LIGHT, SERIES, SURFACES, TEXTS, TINTED, Mode, Tokens
from studio.ui.widgets import label

READABLE = 4.5
VISIBLE = 3.0  # WCAG 1.4.11: what isn't text

PAIRS = [
    *[(text, surface) for text in TEXTS for surface in SURFACES],
    *[("on", accent) for accent in ("accent", "accent_hover", "accent_pressed")],
    *TINTED,
    *[(text, tint) for text in ("text", "sub") for _, tint in TINTED],
]


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(tokens: Tokens, one: str, other: str) -> float:
    light, dark = sorted(
        (luminance(getattr(tokens, one)), luminance(getattr(tokens, other))), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize(("text", "surface"), PAIRS)
def test_text_is_readable_on_every_surface(tokens: Tokens, text: str, surface: str) -> None:
    assert contrast(tokens, text, surface) >= READABLE


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("mark", [*SERIES, "accent"])
def test_lines_and_focus_rings_can_be_seen(tokens: Tokens, mark: str) -> None:
    assert contrast(tokens, mark, "card") >= VISIBLE
    assert contrast(tokens, mark, "bg") >= VISIBLE


def test_every_token_is_a_colour() -> None:
    for tokens in (DARK, LIGHT):
        for field in fields(Tokens):
            assert QColor(getattr(tokens, field.name)).isValid()


def test_a_label_changes_with_the_theme(themed: theme.Theme, qtbot: QtBot) -> None:
    made = label("words", "sub")
    qtbot.addWidget(made)
    made.show()
    with qtbot.waitSignal(themed.changed):
        themed.apply(Mode.LIGHT)
    assert _ink(made) == LIGHT.sub
    themed.apply(Mode.DARK)
    assert _ink(made) == DARK.sub


def test_system_is_dark_where_the_desktop_does_not_say(themed: theme.Theme) -> None:
    themed.apply(Mode.LIGHT)
    themed.apply(Mode.SYSTEM)
    said = QApplication.styleHints().colorScheme()
    assert themed.is_dark == (said != Qt.ColorScheme.Light)


@pytest.mark.parametrize("name", sorted(icons.SHAPES))
def test_every_icon_draws_in_the_colour_asked_for(themed: theme.Theme, name: str) -> None:
    image = icons.pixmap(name, "err", 48, 2.0).toImage()
    assert image.width() == 96
    inked = [
        image.pixelColor(x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).alpha() == 255
    ]
    assert len(inked) > 20
    assert all(color.name() == QColor(DARK.err).name() for color in inked)


def _ink(widget: QLabel) -> str:
    return widget.palette().color(widget.foregroundRole()).name().upper()
