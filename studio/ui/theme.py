"""Design tokens, and the one object that turns them into a palette, a stylesheet and paint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from studio.ui.qss import stylesheet

SANS = ["Inter", "Inter Variable", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans"]
MONO = ["JetBrains Mono", "Cascadia Mono", "Consolas", "Menlo", "DejaVu Sans Mono"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Every colour of one scheme, as #RRGGBB.

    `TEXTS` and `SURFACES` name the tokens that may meet: any text on any surface keeps a
    contrast of 4.5:1 (WCAG 2.2, 1.4.3), and `on` keeps it on the accents.
    """

    bg: str
    side: str
    card: str
    raised: str
    hover: str
    selected: str
    line: str
    line2: str
    text: str
    sub: str
    mute: str
    accent: str
    accent_hover: str
    accent_pressed: str
    accent_text: str
    accent_bg: str
    on: str
    ok: str
    ok_bg: str
    warn: str
    warn_bg: str
    err: str
    err_bg: str
    c1: str
    c2: str
    c3: str
    c4: str
    c5: str
    c6: str
    c7: str
    c8: str
    c9: str
    c10: str


TEXTS = ("text", "sub", "mute", "accent_text", "ok", "warn", "err")
SURFACES = ("bg", "side", "card", "raised", "hover", "selected", "accent_bg")
TINTED = (("ok", "ok_bg"), ("warn", "warn_bg"), ("err", "err_bg"))
SERIES = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10")

DARK = Tokens(
    bg="#0E0F13", side="#0B0C0F", card="#15171D", raised="#1C1F27", hover="#20242D",
    selected="#1C1F27", line="#252933", line2="#333947",
    text="#ECEEF3", sub="#A3AAB8", mute="#8A93A4",
    accent="#7060F2", accent_hover="#6152E0", accent_pressed="#5445CC",
    accent_text="#9A8EFF", accent_bg="#211F3D", on="#FFFFFF",
    ok="#3ECF8E", ok_bg="#12291F", warn="#F5B84B", warn_bg="#2E2412",
    err="#F2646A", err_bg="#33191C",
    c1="#8F81FF", c2="#38BDF8", c3="#F5B84B", c4="#3ECF8E",
    c5="#F472B6", c6="#A3E635", c7="#94A3B8", c8="#2DD4BF", c9="#FB923C", c10="#6B7A90",
)  # fmt: skip
LIGHT = Tokens(
    bg="#F7F7F9", side="#F0F0F3", card="#FFFFFF", raised="#F4F4F7", hover="#EBEBF0",
    selected="#FFFFFF", line="#E4E4EA", line2="#D3D3DC",
    text="#17181C", sub="#565B69", mute="#63697B",
    accent="#5B4BE8", accent_hover="#4C3CD9", accent_pressed="#4031BF",
    accent_text="#4C3CD9", accent_bg="#EDEBFF", on="#FFFFFF",
    ok="#0B7548", ok_bg="#E3F6EC", warn="#8F5A00", warn_bg="#FDF1DA",
    err="#BC2C34", err_bg="#FDE8E9",
    c1="#5B4BE8", c2="#0284C7", c3="#C96A00", c4="#0F8A57",
    c5="#DB2777", c6="#5B960A", c7="#64748B", c8="#0F8C83", c9="#C2410C", c10="#7B899E",
)  # fmt: skip


class Mode(StrEnum):
    """What the user asks for; `SYSTEM` follows the desktop, and is dark where it has no say."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Theme(QObject):
    """The scheme in use. Painted widgets read `color()`, and repaint on `changed`."""

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._app = app
        self.mode = Mode.SYSTEM
        self.tokens = DARK
        app.styleHints().colorSchemeChanged.connect(self._system_changed)

    @property
    def is_dark(self) -> bool:
        return self.tokens is DARK

    def color(self, token: str, alpha: int = 255) -> QColor:
        color = QColor(getattr(self.tokens, token))
        color.setAlpha(alpha)
        return color

    def apply(self, mode: Mode | str) -> None:
        """Switch the whole application to `mode`, and tell every painted widget."""
        self.mode = Mode(mode)
        self._ask_desktop()
        self.tokens = self._wanted()
        self._app.setPalette(palette(self.tokens))
        self._app.setStyleSheet(stylesheet(asdict(self.tokens), MONO))
        self.changed.emit()

    def _wanted(self) -> Tokens:
        if self.mode is Mode.SYSTEM:
            system = self._app.styleHints().colorScheme()
            return LIGHT if system == Qt.ColorScheme.Light else DARK
        return LIGHT if self.mode is Mode.LIGHT else DARK

    def _ask_desktop(self) -> None:
        """Native title bar and file dialogs follow this, where the platform has them (Qt 6.8)."""
        schemes = {Mode.LIGHT: Qt.ColorScheme.Light, Mode.DARK: Qt.ColorScheme.Dark}
        wanted = schemes.get(self.mode, Qt.ColorScheme.Unknown)
        self._app.styleHints().setColorScheme(wanted)

    def _system_changed(self) -> None:
        if self.mode is Mode.SYSTEM and self._wanted() is not self.tokens:
            self.apply(Mode.SYSTEM)


_theme: Theme | None = None


def theme() -> Theme:
    """The theme of the running QApplication, made on first use."""
    global _theme
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        raise RuntimeError("theme() needs a QApplication")
    if _theme is None or _theme.parent() is not app:
        _theme = Theme(app)
    return _theme


def install(
    app: QApplication, mode: Mode | str = Mode.SYSTEM, fonts: list[str] | None = None
) -> Theme:
    """Fusion, bundled fonts (paths in `fonts`), palette and stylesheet; returns the theme."""
    app.setStyle("Fusion")
    for path in fonts or []:
        QFontDatabase.addApplicationFont(path)
    app.setFont(sans())
    made = theme()
    made.apply(mode)
    return made


def sans(size: int = 13, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The text font; `size` in logical pixels."""
    return _font(SANS, size, weight)


def mono(size: int = 12) -> QFont:
    """The font of logs, code and tokens, without ligatures; `size` in logical pixels."""
    font = _font(MONO, size, QFont.Weight.Normal)
    for feature in ("liga", "calt"):
        font.setFeature(QFont.Tag(feature), 0)
    return font


def _font(families: list[str], size: int, weight: QFont.Weight) -> QFont:
    font = QFont(families)
    font.setPixelSize(size)
    font.setWeight(weight)
    return font


def palette(tokens: Tokens) -> QPalette:
    """The palette Fusion paints with, wherever the stylesheet has no say."""
    role = QPalette.ColorRole
    pairs = {
        role.Window: tokens.bg, role.Base: tokens.card, role.AlternateBase: tokens.raised,
        role.Button: tokens.raised, role.WindowText: tokens.text, role.Text: tokens.text,
        role.ButtonText: tokens.text, role.BrightText: tokens.on, role.Highlight: tokens.accent,
        role.HighlightedText: tokens.on, role.ToolTipBase: tokens.raised,
        role.ToolTipText: tokens.text, role.PlaceholderText: tokens.mute,
        role.Link: tokens.accent_text, role.LinkVisited: tokens.accent_text,
        role.Accent: tokens.accent, role.Light: tokens.line2, role.Midlight: tokens.line,
        role.Mid: tokens.line, role.Dark: tokens.line2, role.Shadow: tokens.bg,
    }  # fmt: skip
    made = QPalette()
    for where, color in pairs.items():
        made.setColor(where, QColor(color))
    for where in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, where, QColor(tokens.mute))
    return made
