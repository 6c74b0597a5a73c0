"""One control each, in the studio's look."""

from studio.ui.icons import IconLabel
from studio.ui.widgets.bars import ProgressBar, StackedBar
from studio.ui.widgets.buttons import Button, IconButton, NavButton, Segmented, ToolButton
from studio.ui.widgets.cards import Card, EmptyState, Separator, StatTile
from studio.ui.widgets.dialogs import ConfirmDialog, NameDialog
from studio.ui.widgets.drop import DropZone
from studio.ui.widgets.faces import FacesDialog
from studio.ui.widgets.field import Field, ProblemLine, ProblemList, SettingRow
from studio.ui.widgets.inputs import ComboBox, LineEdit, NumberEdit, PathField
from studio.ui.widgets.layout import clear, column, grid, restyle, row
from studio.ui.widgets.messages import InlineMessage, Toast
from studio.ui.widgets.options import OptionCard
from studio.ui.widgets.page import Heading, Page, ScrollArea
from studio.ui.widgets.steps import StepHeader
from studio.ui.widgets.switch import Switch
from studio.ui.widgets.text import ElidedLabel, Pill, label

__all__ = [
    "Button",
    "Card",
    "ComboBox",
    "ConfirmDialog",
    "DropZone",
    "ElidedLabel",
    "EmptyState",
    "FacesDialog",
    "Field",
    "Heading",
    "IconButton",
    "IconLabel",
    "InlineMessage",
    "LineEdit",
    "NameDialog",
    "NavButton",
    "NumberEdit",
    "OptionCard",
    "Page",
    "PathField",
    "Pill",
    "ProblemLine",
    "ProblemList",
    "ProgressBar",
    "ScrollArea",
    "Segmented",
    "Separator",
    "SettingRow",
    "StackedBar",
    "StatTile",
    "StepHeader",
    "Switch",
    "Toast",
    "ToolButton",
    "clear",
    "column",
    "grid",
    "label",
    "restyle",
    "row",
]
