"""Own sets of rows in the window: made of text, looked at, and edited in a copy."""

from studio.ui.pages.datasets.copying import edit_copy
from studio.ui.pages.datasets.cutting import CutDialog, cut_folder
from studio.ui.pages.datasets.row_editor import RowEditor

__all__ = ["CutDialog", "RowEditor", "cut_folder", "edit_copy"]
