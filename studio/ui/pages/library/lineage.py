"""Where an adapter came from and what became of it, as links in a chain."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.library.adapters import AdapterFacts, Made, Origin
from studio.ui.icons import IconLabel
from studio.ui.pages.library.export.passport_view import GRADES
from studio.ui.widgets import Button, ElidedLabel, Pill, clear, label, row

LINK_WIDTH = 104
_HOW = {"resumed": "Resumed from", "mixed": "Mixed from"}
_KIND = {"merged": "Merged into", "exported": "Exported to"}


class Lineage(QWidget):
    """Emits `adapter_wanted` (a folder's name in the library) and `made_wanted` (a path)."""

    adapter_wanted = Signal(str)
    made_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(6)
        self.links: list[Button] = []

    def show_chain(
        self, facts: AdapterFacts, children: list[AdapterFacts], there: frozenset[str]
    ) -> bool:
        """Show the chain; whether there is any. `there` are the folders of the library."""
        clear(self._box)
        self.links = []
        for origin in facts.lineage:
            self._add_origin(origin, origin.folder in there)
        for child in children:
            how = next(o.how for o in child.lineage if o.folder == facts.folder)
            link = self._link(child.name, lambda _=False, c=child: self._want(c.folder))
            self._line("arrow-down", "Resumed as" if how == "resumed" else "Mixed into", link)
        for made in reversed(facts.made):
            self._add_made(made)
        return bool(facts.lineage or children or facts.made)

    def _want(self, folder: str) -> None:
        self.adapter_wanted.emit(folder)

    def _add_origin(self, origin: Origin, there: bool) -> None:
        name = origin.name + (f"  x {origin.weight:g}" if origin.weight is not None else "")
        shown: QWidget = ElidedLabel(f"{name} (deleted)", "sub")
        if there:
            shown = self._link(name, lambda: self._want(origin.folder))
        self._line("arrow-up", _HOW[origin.how], shown)

    def _add_made(self, made: Made) -> None:
        path = Path(made.path)
        link = self._link(path.name, lambda: self.made_wanted.emit(made.path))
        link.setToolTip(f"{made.path}\nShow its passport")
        link.setAccessibleDescription("Show its passport")
        text, tone = GRADES.get(made.grade, GRADES[""])
        icon = "merge" if made.kind == "merged" else "upload"
        self._line(icon, _KIND[made.kind], link, Pill(text, tone))

    def _link(self, text: str, act: object) -> Button:
        link = Button("", "link")
        link.setText(link.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, LINK_WIDTH))
        link.setAccessibleName(text)
        link.setToolTip(text)
        link.clicked.connect(act)
        self.links.append(link)
        return link

    def _line(self, icon: str, how: str, *shown: QWidget) -> None:
        words = label(how, "mute")
        words.setFixedWidth(78)
        line = row(IconLabel(icon, "mute", 14), words, *shown, None, spacing=6)
        line.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self._box.addLayout(line)
