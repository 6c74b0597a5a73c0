"""Which rows are held out, to test with what the model never saw."""

from __future__ import annotations

from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.widgets import Card, ComboBox, Field, label
from studio.ui.widgets.flow import AdaptiveGrid

FIELD = "data.group_by"


class SplitCard(Card):
    """Writes data.eval_share and data.group_by."""

    def __init__(self, draft: RecipeDraft, form: Form) -> None:
        super().__init__(spacing=14)
        self._draft = draft
        self.held = form.number(
            "data.eval_share",
            "Held out",
            "Share of rows kept to test with",
            maximum=0.99,
            step=0.05,
        )
        self.group = ComboBox("Keep together by")
        self.group.chosen.connect(lambda name: draft.set(FIELD, name))
        hint = "Rows with the same value stay on one side"
        self._field = Field("Keep together by", self.group, hint, FIELD)
        self.add(label("Test rows", "h2"))
        self.add(AdaptiveGrid(2, 200, self.held, self._field, spacing=16))

    def refresh(self) -> None:
        """Offer the columns that there are."""
        report, chosen = self._draft.report, self._draft.recipe.data.group_by
        pieces = report.parts if report else ()
        names = list(dict.fromkeys(name for piece in pieces for name in piece.columns))
        if chosen and chosen not in names:
            names.append(chosen)
        self.group.set_choices([("", "Nothing"), *((name, name) for name in names)])
        self.group.set_value(chosen)
        self._field.show_problems(self._draft.problems_of(FIELD))
