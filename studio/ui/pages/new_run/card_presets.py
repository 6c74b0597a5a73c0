"""Settings for cards of the usual sizes, on the Hyperparameters step."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from studio.core import presets
from studio.core.presets import CardPreset
from studio.ui import format as say
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.widgets import Segmented, column, label, row

SOON = 200
"""Milliseconds after the last change until it is reckoned which sizes fit."""


class CardPresets(QWidget):
    """A button a size; those on which this model can't be trained by this method are off."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self._found: dict[int, CardPreset | None] = {}
        self.sizes = Segmented(
            "Settings for a card of so many GB", [(str(size), str(size)) for size in presets.SIZES]
        )
        for size in presets.SIZES:
            self.sizes.button(str(size)).setAccessibleName(f"For a card of {size} GB")
        self.sizes.selected.connect(self._take)
        self._text = label("", "mute", wrap=True)
        line = row(label("For a card of", "sub"), self.sizes, label("GB", "sub"), None)
        self.setLayout(column(line, self._text, spacing=6))
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON)
        self._soon.timeout.connect(self.reckon)

    def refresh(self) -> None:
        """Show which size the settings are of, at once; which sizes fit follows."""
        self._show()
        self._soon.start()

    def reckon(self) -> None:
        """Find the settings of every size for this method and model."""
        draft = self._draft
        self._found = {
            size: presets.preset(size, draft.method, draft.recipe, draft.model)
            for size in presets.SIZES
        }
        self._show()

    def _show(self) -> None:
        recipe = self._draft.recipe
        taken = [
            (size, found)
            for size, found in self._found.items()
            if found and found.apply(recipe) == recipe
        ]
        size, found = taken[0] if taken else (0, None)
        self.sizes.set_value(str(size))
        for each, made in self._found.items():
            button = self.sizes.button(str(each))
            button.setEnabled(made is not None)
            button.setToolTip(made.text if made else "Doesn't fit by this method")
        self._text.setText(_said(found) if found else "")
        self._text.setVisible(found is not None)

    def _take(self, size: str) -> None:
        draft = self._draft
        found = presets.preset(int(size), draft.method, draft.recipe, draft.model)
        if found is not None:
            draft.take_over(found.apply(draft.recipe))
        self.reckon()


def _said(preset: CardPreset) -> str:
    if preset.estimate is None:
        return preset.text
    most = say.size(preset.estimate.needed_bytes)
    return f"{preset.text} It takes at most {most} of {preset.gigabytes} GB."
