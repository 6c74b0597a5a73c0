"""Own sets of rows in the window: looked at, and edited in a copy."""

from studio.ui.pages.datasets.copying import edit_copy
from studio.ui.pages.datasets.row_editor import RowEditor

__all__ = ["RowEditor", "edit_copy"]
