"""The sliders of a mix that somebody talks with: the next answer follows them."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.mixing import Ingredient, Mix, method
from studio.library import mixing
from studio.library.adapters import AdapterFacts
from studio.ui.pages.mix.portions import Portion
from studio.ui.session import Session
from studio.ui.theme import SERIES
from studio.ui.widgets import Card, label

WIDTH = 560
PATIENCE_MS = 250


class MixPopup(QWidget):
    """Shown under a column's button; a click elsewhere closes it."""

    changed = Signal(str)
    """The folder that stands for the mix as it is now."""

    def __init__(self, parent: QWidget, session: Session, draft: str) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAccessibleName("The mix")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(WIDTH)
        self._session = session
        self._mix: Mix | None = None
        self.rows: list[Portion] = []
        self._card = Card("card", margin=16, spacing=12)
        self._about = label("", "mute", wrap=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._card)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(PATIENCE_MS)
        self._later.timeout.connect(self._change)
        session.background(mixing.read, Path(draft), done=self._show)

    def open_under(self, button: QWidget) -> None:
        """Show it under a button, their right edges in line."""
        self.move(button.mapToGlobal(QPoint(button.width() - WIDTH, button.height() + 4)))
        self.show()

    def _show(self, mix: Mix) -> None:
        self._mix = mix
        for at, one in enumerate(mix.adapters):
            facts = AdapterFacts(path=one.adapter, name=one.name or Path(one.adapter).name)
            portion = Portion(facts, one.weight, SERIES[at % len(SERIES)])
            portion.remove.hide()
            portion.changed.connect(self._later.start)
            self.rows.append(portion)
            self._card.add(portion)
        self._about.setText(f"{method(mix.method).title}. The next answer uses these weights.")
        self._card.add(self._about)
        self.adjustSize()
        if self.rows:
            self.rows[0].slider.setFocus()

    def _change(self) -> None:
        """Nothing where a number can't be read, or all are 0: the mix stays as it was."""
        weights = [one.weight() for one in self.rows]
        if self._mix is None or not any(weights) or any(each != each for each in weights):
            return
        told = tuple(
            Ingredient(adapter=one.adapter, weight=weight, name=one.name)
            for one, weight in zip(self._mix.adapters, weights, strict=True)
        )
        mix = msgspec.structs.replace(self._mix, adapters=told)
        self._session.background(
            mixing.draft, self._session.home, mix,
            done=lambda folder: self.changed.emit(str(folder)),
        )  # fmt: skip
