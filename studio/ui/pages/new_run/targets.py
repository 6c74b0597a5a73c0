"""Which of the model's own linear modules an adapter sits on."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.core.sizing.shapes import names
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.widgets import Button, ProblemList, Segmented, clear, column, label, row
from studio.ui.widgets.flow import FlowLayout

PATH = "lora.target_modules"
ALL = "all-linear"


class TargetModules(QWidget):
    """All linear modules, or those chosen by their real names."""

    def __init__(self, draft: RecipeDraft) -> None:
        super().__init__()
        self._draft = draft
        self.mode = Segmented("Target modules", [(ALL, "All linear"), ("some", "Choose")])
        self.mode.selected.connect(self._mode)
        self._hint = label("", "mute", wrap=True)
        self.chips: dict[str, Button] = {}
        self._flow = FlowLayout(spacing=8)
        self._problems = ProblemList()
        head = row(label("Target modules", "b"), None, self.mode)
        self.setLayout(column(head, self._flow, self._hint, self._problems, spacing=8))
        draft.model_changed.connect(self._build)
        draft.model_known.connect(self._build)
        self._build()

    def _build(self) -> None:
        """A chip for each kind of module the model really has."""
        clear(self._flow)
        self.chips = {}
        for name in self._draft.model.linear_modules if self._draft.model else ():
            chip = Button(name, "chip")
            chip.setCheckable(True)
            chip.clicked.connect(self._chosen)
            self.chips[name] = chip
            self._flow.addWidget(chip)
        self.refresh()

    def refresh(self) -> None:
        """Show the draft as it is now."""
        targets = self._draft.recipe.lora.target_modules
        everything = targets == ALL
        self.mode.set_value(ALL if everything else "some")
        self.mode.button("some").setEnabled(bool(self.chips))
        chosen = set(self.chips) if everything else set(names(targets))
        for name, chip in self.chips.items():
            chip.setChecked(name in chosen)
            chip.setVisible(not everything)
        self._hint.setText(self._words(everything))
        self._problems.show_problems(self._draft.problems_of(PATH))

    def _words(self, everything: bool) -> str:
        if not self.chips:
            return "Every linear layer; their names show once a model is chosen."
        if everything:
            return f"The adapter sits on {', '.join(self.chips)}."
        return "Fewer modules make a smaller adapter that learns less."

    def _mode(self, value: str) -> None:
        self._draft.set(PATH, ALL if value == ALL else list(self.chips))

    def _chosen(self) -> None:
        self._draft.set(PATH, [name for name, chip in self.chips.items() if chip.isChecked()])
