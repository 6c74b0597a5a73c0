"""The first rows as a table: click a column, say what it is, and see what comes of it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QMenu, QTableWidget, QTableWidgetItem, QWidget

from studio.core.facts import Alternative, FirstRows
from studio.core.problem import Problem
from studio.core.recipe import DatasetPart
from studio.ui.pages.new_run import roles as columns_to_roles
from studio.ui.pages.new_run.dataset_card import name_of
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.looking import RowsLooker
from studio.ui.pages.new_run.roles import ROLES, USUAL, title_of
from studio.ui.pages.new_run.wording import sentence
from studio.ui.widgets import Button, Card, IconButton, clear, column, label, restyle, row
from studio.ui.widgets.flow import FlowLayout

WIDEST, NARROWEST = 300, 110
_OPENS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class Mapping(Card):
    """Gives the columns of one dataset their roles; writes them into the draft."""

    shown = Signal()
    """The first rows have arrived."""

    def __init__(self, draft: RecipeDraft, looker: RowsLooker) -> None:
        super().__init__(spacing=12)
        self._draft, self._looker = draft, looker
        self._place = 0
        self._asked: DatasetPart | None = None
        self.first = FirstRows()
        self._title = label("Columns", "h2")
        self.close_button = IconButton("x", "Close the columns")
        self.close_button.clicked.connect(self.hide)
        self._readings = FlowLayout(6)
        self.readings = QWidget()
        self.readings.setLayout(self._readings)
        self._hint = label(
            "Press a column to say what it is; with the keyboard: arrow keys, then Enter.", "mute"
        )
        self.table = RowsTable()
        self.table.pressed_column.connect(self.ask_role)
        self._learnt = label("", "", wrap=True)
        self._result = Card("raised", margin=12, spacing=6)
        self.add(row(self._title, None, self.close_button), self.readings, self._hint)
        self.add(self.table, self._learnt, self._result)
        looker.first_rows.connect(self._show)

    @property
    def place(self) -> int:
        """Which dataset is shown, from 0."""
        return self._place

    def show_dataset(self, place: int) -> None:
        """Show the columns of a dataset, by its place from 0."""
        self._place = place
        self.show()
        self.refresh()

    def asks(self, problem: Problem) -> bool:
        """Whether the table in view says what a problem says."""
        return (
            self.isVisible() and bool(problem.text) and sentence(self.first.problem) == problem.text
        )

    def forget(self) -> None:
        """Other datasets are chosen: what is shown is of none of them."""
        self._asked = None
        self.hide()

    def refresh(self) -> None:
        """Ask for the rows anew where the dataset or its mapping has changed."""
        parts = self._draft.recipe.dataset
        if self._place >= len(parts):
            self.hide()
        elif parts[self._place] != self._asked and not self.isHidden():
            self._asked = parts[self._place]
            self._title.setText(
                f"Columns of {name_of(self._asked)}" if len(parts) > 1 else "Columns"
            )
            self._looker.want_first(self._asked)

    def ask_role(self, place: int, where: QPoint) -> None:
        """Open the menu of roles for a column."""
        menu = self.menu(place)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(where)

    def menu(self, place: int) -> QMenu:
        """What the column at a place may be."""
        name = self.first.columns[place]
        menu = QMenu(self)
        menu.setAccessibleName(f"What “{name}” is")
        more = QMenu("More", menu)
        for role, (title, text) in ROLES.items():
            into = menu if role in USUAL else more
            action = into.addAction(f"{title} \N{EN DASH} {text[:1].lower()}{text[1:]}")
            action.setCheckable(True)
            action.setChecked(self.first.roles.get(role) == name)
            action.triggered.connect(partial(self._give, role, name))
        menu.addMenu(more)
        menu.addSeparator()
        menu.addAction("Not used").triggered.connect(partial(self._give, "", name))
        return menu

    def _give(self, role: str, name: str, _on: bool = False) -> None:
        now = (self._asked.columns if self._asked else {}) or self.first.roles
        self._take(columns_to_roles.given(now, role, name))

    def _take(self, mapping: dict[str, str]) -> None:
        self._draft.change_dataset(self._place, columns=mapping)

    # showing

    def _show(self, part: DatasetPart, first: FirstRows) -> None:
        if part != self._asked:
            return
        self.first = first
        roles = first.roles or part.columns
        self.table.show_rows(first, roles)
        self._show_readings(part, first)
        said = [first.learnt and f"Learnt: {first.learnt[:1].lower()}{first.learnt[1:]}"]
        if first.unmapped and first.learnt:
            said.append(f"Not used: {', '.join(first.unmapped)}.")
        self._learnt.setText(" ".join(filter(None, said)) or f"{first.problem} {first.fix}")
        restyle(self._learnt, "t", "" if first.learnt else "warn")
        self._show_result(first)
        self.shown.emit()

    def _show_readings(self, part: DatasetPart, first: FirstRows) -> None:
        clear(self._readings)
        name = label("Read as", "mute")
        name.setFixedHeight(30)
        self._readings.addWidget(name)
        for place, one in enumerate(first.readings):
            self._readings.addWidget(self._chip(one, place == 0, part, first))
        known = any(one.roles == first.roles for one in first.readings)
        if part.columns and not known:
            own = Button("As you mapped it", "chip")
            own.setCheckable(True)
            own.setChecked(True)
            own.clicked.connect(lambda: own.setChecked(True))
            self._readings.addWidget(own)
        self.readings.setVisible(bool(first.readings))

    def _chip(self, one: Alternative, itself: bool, part: DatasetPart, first: FirstRows) -> Button:
        chip = Button(f"{one.format[:1].upper()}{one.format[1:]}", "chip", tip=one.reason)
        chip.setCheckable(True)
        chip.setChecked(one.roles == first.roles)
        mapping = {} if itself else dict(one.roles)
        chip.clicked.connect(lambda: self._take(mapping))
        chip.clicked.connect(lambda: chip.setChecked(True))
        return chip

    def _show_result(self, first: FirstRows) -> None:
        clear(self._result.body)
        self._result.setVisible(bool(first.learnt))
        self._result.add(label(f"ROW {first.shown_row + 1} BECOMES", "cap"))
        if first.problem:
            self._result.add(label(first.problem, "warn", wrap=True))
        for role, text in first.says[:6]:
            name = label(role.capitalize(), "mute")
            name.setFixedWidth(72)
            name.setAlignment(Qt.AlignmentFlag.AlignTop)
            words = label(text[:400], "", wrap=True, selectable=True)
            line = row(name, spacing=8)
            line.addLayout(column(words), 1)
            self._result.add(line)
        if len(first.says) > 6:
            self._result.add(label(f"And {len(first.says) - 6} more messages.", "mute"))


class RowsTable(QTableWidget):
    """Columns with their roles in the header; `pressed_column` has a column and where to ask."""

    pressed_column = Signal(int, QPoint)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("The first rows; Enter says what a column is")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectColumns)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.setCornerWidget(QWidget())
        header = self.horizontalHeader()
        header.setSectionsClickable(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setCursor(Qt.CursorShape.PointingHandCursor)
        header.sectionClicked.connect(self._press)

    def show_rows(self, first: FirstRows, roles: dict[str, str]) -> None:
        """Fill it; the columns' roles are said in the header."""
        self.setRowCount(len(first.rows))
        self.setColumnCount(len(first.columns))
        played = {name: title_of(role) for role, name in roles.items()}
        for place, name in enumerate(first.columns):
            head = QTableWidgetItem(
                f"{name}\n{played.get(name, 'not used')}  \N{BLACK DOWN-POINTING SMALL TRIANGLE}"
            )
            font = head.font()
            font.setBold(name in played)
            head.setFont(font)
            self.setHorizontalHeaderItem(place, head)
            for line, cells in enumerate(first.rows):
                item = QTableWidgetItem(" ".join(cells[place].split()))
                item.setToolTip(cells[place])
                self.setItem(line, place, item)
        self.resizeColumnsToContents()
        for place in range(len(first.columns)):
            self.setColumnWidth(place, max(NARROWEST, min(WIDEST, self.columnWidth(place) + 14)))
        self._fit_height()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _OPENS and self.columnCount():
            self._press(max(0, self.currentColumn()))
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self._press(max(0, self.columnAt(event.pos().x())))

    def _press(self, place: int) -> None:
        header = self.horizontalHeader()
        corner = QPoint(max(0, header.sectionViewportPosition(place)), header.height())
        self.pressed_column.emit(place, header.mapToGlobal(corner))

    def _fit_height(self) -> None:
        lines = min(5, self.rowCount())
        rows = sum(self.rowHeight(line) for line in range(lines))
        bar = self.horizontalScrollBar().sizeHint().height()
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows + bar + 4)
