"""Controls, by real keys and clicks."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from studio.core.errors import StudioError
from studio.core.problem import Problem
from studio.ui.theme import DARK, Theme
from studio.ui.widgets import (
    Button,
    ComboBox,
    ConfirmDialog,
    DropZone,
    ElidedLabel,
    EmptyState,
    FacesDialog,
    Field,
    Heading,
    IconButton,
    InlineMessage,
    LineEdit,
    NameDialog,
    NavButton,
    NumberEdit,
    OptionCard,
    PathField,
    ProgressBar,
    Segmented,
    SettingRow,
    StackedBar,
    StatTile,
    StepHeader,
    Switch,
    Toast,
    column,
    label,
)
from studio.ui.widgets.flow import AdaptiveGrid
from tests.ui.show import Show

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def many(themed: Theme) -> QWidget:
    """A widget with one of every control."""
    whole = QWidget()
    whole.setLayout(
        column(
            Button("Go", "primary"),
            Button("Save", icon_name="save"),
            IconButton("trash", "Delete"),
            NavButton("Runs", "activity", "Ctrl+2"),
            Segmented("Length", [("a", "Quick"), ("b", "Long")]),
            OptionCard("QLoRA", "Least memory."),
            StepHeader(["Model", "Review"]),
            Field("Epochs", NumberEdit("Epochs"), "How often"),
            SettingRow("Stop early", "When it no longer falls", Switch("")),
            ComboBox("Optimizer", [("adamw", "AdamW")]),
            PathField("Folder", folder=True),
            DropZone("Drop a file", "or press"),
            EmptyState("chat", "Nothing", "Yet", "Do it"),
            Heading("Title", "More"),
            StatTile("Loss", "0.8"),
        )
    )
    return whole


def test_every_control_has_a_name_and_takes_the_keyboard(many: QWidget, show: Show) -> None:
    show(many)
    kinds = (QAbstractButton, QLineEdit, QComboBox, DropZone)
    found = [child for kind in kinds for child in many.findChildren(kind)]
    assert len(found) > 15
    for child in found:
        if child.objectName().startswith("qt_") or not child.isVisible():
            continue
        assert child.accessibleName(), child
        assert child.focusPolicy() & Qt.FocusPolicy.TabFocus, child


def test_nothing_opens_a_window_of_its_own(many: QWidget, show: Show) -> None:
    show(many)
    visible = [w for w in many.findChildren(QWidget) if w.isWindow() and w.isVisible()]
    assert visible == []


def test_focus_can_be_seen(show: Show, qtbot: QtBot) -> None:
    box = QWidget()
    first, second = Button("One"), Button("Two")
    box.setLayout(column(first, second))
    show(box)
    first.setFocus()
    unfocused = second.grab().toImage()
    qtbot.keyClick(first, Qt.Key.Key_Tab)
    assert second.hasFocus()
    focused = second.grab().toImage()
    middle = focused.height() // 2
    assert focused.pixelColor(0, middle).name() == QColor(DARK.accent).name()
    assert unfocused.pixelColor(0, middle).name() != QColor(DARK.accent).name()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_qt_calls_do_not_use_up_none(show: Show) -> None:
    widget = show(QWidget())
    before = sys.getrefcount(None)
    for _ in range(200):
        widget.update()
    assert sys.getrefcount(None) > before - 100


def test_names_from_outside_are_never_markup(themed: Theme, qtbot: QtBot) -> None:
    made = label("<b>model</b>")
    qtbot.addWidget(made)
    plain = label("model")
    qtbot.addWidget(plain)
    assert made.sizeHint().width() > plain.sizeHint().width() * 1.5


def test_a_long_name_is_shortened_with_the_whole_in_the_tooltip(show: Show) -> None:
    name = ElidedLabel("a-very-long-model-name-that-goes-on-and-on-instruct")
    name.setFixedWidth(120)
    show(name)
    name.grab()
    assert "…" in name.shown_text()
    assert name.toolTip() == name.text()
    name.setFixedWidth(600)
    name.grab()
    assert name.toolTip() == ""


def test_a_long_choice_keeps_both_ends_and_says_the_whole_in_the_tooltip(show: Show) -> None:
    box = ComboBox("File", [("a", "quickstart-of-a-long-evening-Q4_K_M"), ("b", "short")])
    box.setFixedWidth(180)
    show(box)
    box.grab()
    assert box.shown_text().startswith("quick")
    assert box.shown_text().endswith("Q4_K_M")
    assert "…" in box.shown_text()
    assert box.toolTip() == "quickstart-of-a-long-evening-Q4_K_M"
    box.set_value("b")
    box.grab()
    assert (box.shown_text(), box.toolTip()) == ("short", "")


def test_space_toggles_a_switch(show: Show, qtbot: QtBot) -> None:
    switch = Switch("Stop early")
    show(switch)
    switch.setFocus()
    qtbot.keyClick(switch, Qt.Key.Key_Space)
    assert switch.isChecked()
    qtbot.mouseClick(switch, LEFT)
    assert not switch.isChecked()


def test_a_click_anywhere_on_a_card_chooses_it(show: Show, qtbot: QtBot) -> None:
    card = OptionCard("LoRA", "16-bit base and a small adapter.")
    card.set_pills([("Fits", "ok")])
    show(card)
    qtbot.mouseClick(card, LEFT, pos=QPoint(24, 22))
    assert card.isChecked()
    assert "Fits" in card.accessibleDescription()


def test_segments_report_the_chosen_value(show: Show, qtbot: QtBot) -> None:
    segmented = Segmented("Length", [("quick", "Quick look"), ("long", "Thorough")])
    show(segmented)
    assert segmented.value() == ""
    with qtbot.waitSignal(segmented.selected) as heard:
        qtbot.mouseClick(segmented.button("long"), LEFT)
    assert heard.args == ["long"]
    segmented.set_value("unknown")
    assert segmented.value() == ""


def test_steps_say_where_they_stand_and_ask_to_go(show: Show, qtbot: QtBot) -> None:
    header = StepHeader(["Model", "Dataset", "Review"])
    header.set_states(["done", "problem", "now"])
    show(header)
    assert header.buttons[1].accessibleName() == "Step 2: Dataset, needs you"
    with qtbot.waitSignal(header.asked) as heard:
        qtbot.mouseClick(header.buttons[0], LEFT)
    assert heard.args == [0]


def test_a_narrow_header_names_the_current_step_alone(show: Show) -> None:
    header = StepHeader(["Model", "Dataset", "Method", "Hyperparameters", "Review"])
    header.set_states(["done", "now", "todo", "todo", "todo"])
    header.resize(900, 40)
    show(header)
    wide = header.buttons[3].width()
    header.resize(420, 40)
    QApplication.processEvents()
    assert header.buttons[3].width() < wide / 2
    assert header.buttons[3].toolTip() == "Hyperparameters"
    assert header.buttons[1].width() >= header.buttons[1].full_width()


@pytest.mark.parametrize(
    ("count", "width", "columns"), [(4, 900, 4), (4, 420, 2), (3, 300, 1), (9, 420, 3), (1, 50, 1)]
)
def test_columns_follow_the_room(themed: Theme, count: int, width: int, columns: int) -> None:
    whole = QWidget()
    grid = AdaptiveGrid(4, 120, *(Button(str(n)) for n in range(count)))
    whole.setLayout(grid)
    whole.resize(width, grid.heightForWidth(width))
    grid.setGeometry(whole.rect())
    assert grid.columns_in(width) == columns
    places = [grid.itemAt(n).geometry() for n in range(count)]
    assert len({place.x() for place in places}) == min(count, columns)
    assert max(place.right() for place in places) < width
    assert not any(a.intersects(b) for a in places for b in places if a is not b)
    whole.deleteLater()


class TestNumberEdit:
    @pytest.fixture
    def edit(self, show: Show) -> NumberEdit:
        made = NumberEdit("Epochs", minimum=0.5, maximum=100)
        show(made)
        return made

    def test_reads_what_is_typed(self, edit: NumberEdit, qtbot: QtBot) -> None:
        with qtbot.waitSignal(edit.number_changed):
            qtbot.keyClicks(edit, "2.5")
        assert edit.number() == 2.5

    @pytest.mark.parametrize("text", ["three", "1000", "nan", "inf", "-1", ""])
    def test_marks_what_is_no_number_in_its_range(
        self, edit: NumberEdit, qtbot: QtBot, text: str
    ) -> None:
        qtbot.keyClicks(edit, text or "x")
        if not text:
            qtbot.keyClick(edit, Qt.Key.Key_Backspace)
        assert edit.number() is None
        assert edit.property("problem") == "blocks"

    def test_arrow_keys_step_within_the_range(self, edit: NumberEdit, qtbot: QtBot) -> None:
        edit.set_number(99.5)
        qtbot.keyClick(edit, Qt.Key.Key_Up)
        assert edit.number() == 100
        qtbot.keyClick(edit, Qt.Key.Key_Down)
        assert edit.number() == 99

    def test_a_rate_steps_by_its_factor_and_reads_short(self, show: Show, qtbot: QtBot) -> None:
        rate = NumberEdit("Learning rate", factor=2.0, empty=0.0, placeholder="Automatic")
        show(rate)
        assert rate.number() == 0.0
        rate.set_number(2e-4)
        assert rate.text() == "2e-4"
        qtbot.keyClick(rate, Qt.Key.Key_Up)
        assert rate.number() == pytest.approx(4e-4)

    def test_typing_is_never_rewritten(self, edit: NumberEdit, qtbot: QtBot) -> None:
        qtbot.keyClicks(edit, "3.0")
        edit.set_number(3.0)
        assert edit.text() == "3.0"


def test_a_choice_keeps_its_value_when_the_list_changes(themed: Theme, qtbot: QtBot) -> None:
    box = ComboBox("Column", [("a", "A"), ("b", "B")])
    qtbot.addWidget(box)
    box.set_value("b")
    box.set_choices([("b", "B"), ("c", "C")])
    assert box.value() == "b"


def test_a_field_shows_its_problem_in_place_of_its_hint(show: Show, qtbot: QtBot) -> None:
    field = Field("Rank", LineEdit("Rank"), "Size of the adapter", "lora.rank")
    show(field)
    problem = Problem(field="lora.rank", text="A rank of 0 trains nothing.", fix="Use 16.")
    field.show_problems([problem])

    def said() -> list[str]:
        return [child.text() for child in field.findChildren(QLabel) if child.isVisible()]

    qtbot.waitUntil(lambda: said() == ["Rank", "A rank of 0 trains nothing.", "Use 16."])
    assert field.editor.property("problem") == "blocks"
    assert "Use 16." in field.editor.accessibleDescription()
    field.show_problems([])
    assert field.editor.accessibleDescription() == "Size of the adapter"


def test_files_can_be_dropped(show: Show, qtbot: QtBot) -> None:
    zone = DropZone("Drop a file", "or press")
    show(zone)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/tmp/a file.jsonl"), QUrl("https://example.org/x")])
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    with qtbot.waitSignal(zone.dropped) as heard:
        zone.dropEvent(event)
    assert [path.name for path in heard.args[0]] == ["a file.jsonl"]
    with qtbot.waitSignal(zone.pressed):
        qtbot.keyClick(zone, Qt.Key.Key_Return)
    with qtbot.waitSignal(zone.pressed):
        qtbot.mouseClick(zone, LEFT)


def test_a_typed_path_is_picked_once(show: Show, qtbot: QtBot) -> None:
    field = PathField("Folder", folder=True)
    show(field)
    field.edit.setFocus()
    qtbot.keyClicks(field.edit, "/models/tiny")
    with qtbot.waitSignal(field.picked) as heard:
        qtbot.keyClick(field.edit, Qt.Key.Key_Return)
    assert heard.args == ["/models/tiny"]
    with qtbot.assertNotEmitted(field.picked):
        qtbot.keyClick(field.edit, Qt.Key.Key_Return)


def test_a_message_says_what_happened_and_what_to_do(show: Show, qtbot: QtBot) -> None:
    message = InlineMessage(closable=True)
    show(message)
    message.show_error(StudioError("No disk", "The disk is full.", "Free 2 GB."), "Try again")
    assert message.accessibleName() == "No disk The disk is full. Free 2 GB."
    with qtbot.waitSignal(message.acted):
        qtbot.mouseClick(message.button, LEFT)
    message.dismiss()
    assert not message.isVisible()


def test_a_toast_goes_away_by_itself(show: Show, qtbot: QtBot) -> None:
    room = QWidget()
    room.resize(400, 300)
    show(room)
    toast = Toast(room)
    toast.say("Adapter saved", milliseconds=50)
    assert toast.isVisible()
    qtbot.waitUntil(lambda: not toast.isVisible())


class TestDialogs:
    def test_escape_answers_nothing(self, show: Show, qtbot: QtBot) -> None:
        dialog = ConfirmDialog(None, "Delete?", "It goes to the trash.", [("yes", "Delete", "")])
        show(dialog)
        qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        assert dialog.answer() == ""

    def test_a_button_answers_its_value(self, show: Show, qtbot: QtBot) -> None:
        dialog = ConfirmDialog(None, "Delete?", "It goes.", [("yes", "Delete", "danger")])
        show(dialog)
        qtbot.mouseClick(dialog.buttons["yes"], LEFT)
        assert dialog.answer() == "yes"

    def test_a_name_must_not_be_empty(self, show: Show, qtbot: QtBot) -> None:
        dialog = NameDialog(None, "Rename", "A new name", "old", "Rename")
        show(dialog)
        dialog.edit.selectAll()
        qtbot.keyClick(dialog.edit, Qt.Key.Key_Delete)
        assert not dialog.buttons["ok"].isEnabled()
        qtbot.keyClicks(dialog.edit, "new")
        qtbot.keyClick(dialog.edit, Qt.Key.Key_Return)
        assert dialog.answer() == "ok"


def test_bars_paint_what_they_hold(show: Show) -> None:
    bar = StackedBar("Memory", 10)
    bar.setFixedWidth(200)
    show(bar)
    bar.set_parts([(0.5, "c1"), (0.25, "c2")])
    image = bar.grab().toImage()
    assert image.pixelColor(50, 5).name() == QColor(DARK.c1).name()
    assert image.pixelColor(125, 5).name() == QColor(DARK.c2).name()
    assert image.pixelColor(180, 5).name() == QColor(DARK.line).name()


def test_progress_moves_only_while_its_end_is_unknown(show: Show) -> None:
    bar = ProgressBar("Download")
    show(bar)
    bar.set_value(None)
    assert bar.accessibleDescription() == "in progress"
    assert bar._timer != 0
    bar.set_value(2.0)
    assert bar.value() == 1.0
    assert bar._timer == 0


def test_a_dialog_is_as_large_as_the_face_it_shows(show: Show) -> None:
    dialog = FacesDialog(None, "merge", "Merge Orders", "Merge")
    go, close = Button("Go"), Button("Close")
    dialog.add_face(QLabel("?"), go, focus=lambda: go, width=400)
    dialog.add_face(QLabel("!"), close, focus=lambda: close, width=600, height=500)
    show(dialog)
    asked = dialog.height()
    assert (dialog.width(), go.hasFocus(), close.isVisible()) == (400, True, False)
    centre = dialog.geometry().center()
    dialog.show_face(1)
    assert (dialog.width(), dialog.height(), close.hasFocus()) == (600, 500, True)
    assert (dialog.geometry().center() - centre).manhattanLength() <= 2
    dialog.refuse(StudioError("Taken", "The folder is taken.", "Name another one."))
    assert dialog.height() > asked
    assert (dialog.face, dialog.problem.title()) == (0, "Taken")
