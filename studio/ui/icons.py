"""The studio's icons: 24-grid line drawings, tinted to a token and crisp at any pixel ratio."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPaintEvent, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QWidget

from studio.ui.theme import theme

SHAPES = {
    "plus-circle": '<circle cx="12" cy="12" r="9.5"/><path d="M8 12h8M12 8v8"/>',
    "plus": '<path d="M5 12h14M12 5v14"/>',
    "activity": '<path d="M22 12h-4l-3 8.5L9 3.5 6 12H2"/>',
    "box": '<path d="M21 8 12 3 3 8v8l9 5 9-5V8Z"/><path d="m3.3 8 8.7 5 8.7-5M12 13v8"/>',
    "chat": '<path d="M21 15a2 2 0 0 1-2 2H8l-5 4V5a2 2 0 0 1 2-2h14a2 2 0 0 1 2 2z"/>',
    "sliders": '<path d="M4 6h9M19 6h1M4 12h1M11 12h9M4 18h7M17 18h3"/>'
    '<circle cx="16" cy="6" r="2.5"/><circle cx="8" cy="12" r="2.5"/>'
    '<circle cx="14" cy="18" r="2.5"/>',
    "check": '<path d="M20 6 9 17l-5-5"/>',
    "check-circle": '<circle cx="12" cy="12" r="9.5"/><path d="m8 12.3 2.7 2.7L16 9.6"/>',
    "chip": '<rect x="5" y="5" width="14" height="14" rx="2"/>'
    '<rect x="9.5" y="9.5" width="5" height="5" rx="1"/>'
    '<path d="M9 2v3M15 2v3M9 19v3M15 19v3M2 9h3M2 15h3M19 9h3M19 15h3"/>',
    "file": '<path d="M14 2H6a2 2 0 0 0-2 2v16a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2V8z"/>'
    '<path d="M14 2v6h6M8 13h8M8 17h5"/>',
    "folder": '<path d="M3 6a2 2 0 0 1 2-2h4l2 3h8a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2H5'
    'a2 2 0 0 1-2-2z"/>',
    "sun": '<circle cx="12" cy="12" r="4"/><path d="M12 2v2M12 20v2M4.9 4.9l1.4 1.4'
    'M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4"/>',
    "moon": '<path d="M21 12.8A9 9 0 1 1 11.2 3 7 7 0 0 0 21 12.8Z"/>',
    "pause": '<rect x="6" y="4" width="4" height="16" rx="1"/>'
    '<rect x="14" y="4" width="4" height="16" rx="1"/>',
    "play": '<path d="M7 4.5v15l12-7.5z"/>',
    "stop": '<rect x="5" y="5" width="14" height="14" rx="2"/>',
    "zap": '<path d="M13 2 4 14h7l-1 8 10-12h-7z"/>',
    "upload": '<path d="M21 15v4a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-4M17 8l-5-5-5 5M12 3v12"/>',
    "download": '<path d="M21 15v4a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-4M7 10l5 5 5-5M12 15V3"/>',
    "search": '<circle cx="11" cy="11" r="7"/><path d="m20 20-4-4"/>',
    "arrow-right": '<path d="M5 12h14M13 6l6 6-6 6"/>',
    "arrow-up": '<path d="M12 19V5M6 11l6-6 6 6"/>',
    "arrow-down": '<path d="M12 5v14M6 13l6 6 6-6"/>',
    "list": '<path d="M8 6h13M8 12h13M8 18h13M3.5 6v.1M3.5 12v.1M3.5 18v.1"/>',
    "chevron-left": '<path d="m15 6-6 6 6 6"/>',
    "chevron-right": '<path d="m9 6 6 6-6 6"/>',
    "chevron-down": '<path d="m6 9 6 6 6-6"/>',
    "x": '<path d="M18 6 6 18M6 6l12 12"/>',
    "alert": '<path d="M12 3 1.8 20.5h20.4z"/><path d="M12 10v4.5M12 17.4v.1"/>',
    "error": '<circle cx="12" cy="12" r="9.5"/><path d="M12 7.5v5M12 16.2v.1"/>',
    "info": '<circle cx="12" cy="12" r="9.5"/><path d="M12 11.5v5M12 7.8v-.1"/>',
    "trash": '<path d="M3 6h18M8 6V4a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v2M19 6l-1 14a1 1 0 0 1-1 1H7'
    'a1 1 0 0 1-1-1L5 6M10 11v6M14 11v6"/>',
    "pencil": '<path d="M4 20h4L20 8l-4-4L4 16zM13.5 6.5l4 4"/>',
    "copy": '<rect x="8" y="8" width="13" height="13" rx="2"/>'
    '<path d="M16 8V5a2 2 0 0 0-2-2H5a2 2 0 0 0-2 2v9a2 2 0 0 0 2 2h3"/>',
    "thumb-up": '<path d="M7 10v11H4a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1zM7 10l4-7.5a2.6 2.6 0 0 1'
    ' 2.6 2.6V9h5.6a2 2 0 0 1 2 2.3l-1.3 7.9a2.1 2.1 0 0 1-2.1 1.8H7"/>',
    "thumb-down": '<path d="M17 14V3h3a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1zM17 14l-4 7.5a2.6 2.6 0 0 1'
    '-2.6-2.6V15H4.8a2 2 0 0 1-2-2.3l1.3-7.9A2.1 2.1 0 0 1 6.2 3H17"/>',
    "merge": '<circle cx="6" cy="5" r="2.5"/><circle cx="6" cy="19" r="2.5"/>'
    '<circle cx="18" cy="12" r="2.5"/><path d="M6 7.5v9M6 8c0 3 4 4 9.5 4"/>',
    "refresh": '<path d="M20 11A8 8 0 0 0 6 6.3L3 9M3 4v5h5M4 13a8 8 0 0 0 14 4.7L21 15'
    'M21 20v-5h-5"/>',
    "more": '<circle cx="5" cy="12" r="1"/><circle cx="12" cy="12" r="1"/>'
    '<circle cx="19" cy="12" r="1"/>',
    "send": '<path d="M21 3 10 14M21 3l-7 18-4-7-7-4z"/>',
    "clock": '<circle cx="12" cy="12" r="9.5"/><path d="M12 6.5V12l3.5 2"/>',
    "key": '<circle cx="8" cy="15" r="4.5"/><path d="m11.3 11.7 8.7-8.7M16 7l3 3"/>',
    "eye": '<path d="M2 12s3.5-7 10-7 10 7 10 7-3.5 7-10 7S2 12 2 12z"/>'
    '<circle cx="12" cy="12" r="3"/>',
    "globe": '<circle cx="12" cy="12" r="9.5"/><path d="M2.5 12h19M12 2.5c3 3 4 6 4 9.5'
    's-1 6.5-4 9.5c-3-3-4-6-4-9.5s1-6.5 4-9.5z"/>',
    "save": '<path d="M5 3h11l5 5v11a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z"/>'
    '<path d="M7 3v5h8V3M7 21v-7h10v7"/>',
}  # fmt: skip

_cache: dict[tuple[str, str, int, float], QPixmap] = {}


def pixmap(name: str, token: str = "text", size: int = 18, ratio: float = 1.0) -> QPixmap:
    """The icon `name` in the colour of `token`, `size` logical pixels at pixel ratio `ratio`."""
    color = theme().color(token).name()
    key = (name, color, size, ratio)
    if key not in _cache:
        _cache[key] = _draw(name, color, size, ratio)
    return _cache[key]


def icon(name: str, token: str = "text", size: int = 18, on_token: str | None = None) -> QIcon:
    """The icon for a button, drawn at 1x, 2x and 3x; `on_token` tints its checked state."""
    made = QIcon()
    for ratio in (1.0, 2.0, 3.0):
        made.addPixmap(pixmap(name, token, size, ratio), QIcon.Mode.Normal, QIcon.State.Off)
        made.addPixmap(pixmap(name, "mute", size, ratio), QIcon.Mode.Disabled, QIcon.State.Off)
        if on_token:
            made.addPixmap(pixmap(name, on_token, size, ratio), QIcon.Mode.Normal, QIcon.State.On)
    return made


def _draw(name: str, color: str, size: int, ratio: float) -> QPixmap:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" '
        f'stroke="{color}" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">'
        f"{SHAPES[name]}</svg>"
    )
    made = QPixmap(round(size * ratio), round(size * ratio))
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(made.rect()))
    painter.end()
    made.setDevicePixelRatio(ratio)
    return made


def app_icon(busy: bool = False) -> QIcon:
    """The studio's sign, a bolt on the accent, for windows and tray; with a dot while it trains."""
    made = QIcon()
    for size in (16, 22, 32, 48, 64, 128):
        made.addPixmap(_sign(size, busy))
    return made


def _sign(size: int, busy: bool) -> QPixmap:
    made = QPixmap(size, size)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme().color("accent"))
    painter.drawRoundedRect(QRectF(0, 0, size, size), size * 0.25, size * 0.25)
    inner = round(size * 0.66)
    at = (size - inner) // 2
    painter.drawPixmap(at, at, pixmap("zap", "on", inner))
    if busy:
        painter.setBrush(theme().color("ok"))
        painter.drawEllipse(QRectF(size * 0.6, size * 0.6, size * 0.4, size * 0.4))
    painter.end()
    return made


class IconLabel(QWidget):
    """A picture of an icon that follows the theme; says nothing to a screen reader."""

    def __init__(self, name: str, token: str = "text", size: int = 18) -> None:
        super().__init__()
        self._name, self._token, self._size = name, token, size
        self.setFixedSize(QSize(size, size))
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme().changed.connect(self.update)

    def set_icon(self, name: str, token: str) -> None:
        self._name, self._token = name, token
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        picture = pixmap(self._name, self._token, self._size, self.devicePixelRatioF())
        painter.drawPixmap(0, 0, picture)
