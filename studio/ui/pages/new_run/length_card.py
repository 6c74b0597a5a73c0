"""The longest row: a line across the histogram, and what it makes of the rows."""

from __future__ import annotations

from studio.ui import format as say
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.histogram import Histogram
from studio.ui.widgets import Card, StatTile, label, row
from studio.ui.widgets.flow import AdaptiveGrid


class LengthCard(Card):
    """Writes data.max_length; its figures are reckoned while the line moves."""

    def __init__(self, draft: RecipeDraft, form: Form) -> None:
        super().__init__(spacing=12)
        self._known: object = None
        self._draft = draft
        self.histogram = Histogram()
        self.histogram.moved.connect(self._reckon)
        self.histogram.settled.connect(lambda tokens: draft.set("data.max_length", tokens))
        self.field = form.number(
            "data.max_length",
            "Longest row",
            "Tokens; the rest is cut off",
            whole=True,
            minimum=1,
            step=64,
        )
        self.cut = StatTile("Cut off")
        self.trained = StatTile("Trained")
        self.padding = StatTile("Padding")
        self.packed = StatTile("Packed")
        self._tiles = (self.cut, self.trained, self.padding, self.packed)
        self.field.setFixedWidth(190)
        hint = "Drag the line, or move it with the arrow keys."
        title = label("Rows by length", "h2")
        self._hint = label(hint, "mute", wrap=True)
        self.add(title, self._hint, self.histogram, AdaptiveGrid(4, 120, *self._tiles))
        self.add(row(self.field, None))

    def refresh(self) -> None:
        """Show the report's rows at the recipe's length."""
        report = self._draft.report
        counted = report is not None and bool(report.lengths.rows)
        for widget in (self.histogram, self._hint, *self._tiles):
            widget.setVisible(counted)
        if report is None or not counted:
            return
        limit = self._draft.recipe.data.max_length
        self.histogram.show_counts(report.histogram, report.bin_tokens, limit)
        self._reckon(self.histogram.limit)

    def _reckon(self, length: int) -> None:
        report, batch = self._draft.report, self._draft.recipe.training.batch_size
        if report is None or self._known == (id(report.lengths), length, batch):
            return
        self._known = (id(report.lengths), length, batch)
        fate = report.lengths.at(length, batch)
        lost = f", {say.count(fate.lost_rows)} lose the answer" if fate.lost_rows else ""
        said = f"rows{lost}" if fate.cut_rows else "every row fits"
        self.cut.show_value(say.count(fate.cut_rows), said, "warn" if fate.cut_rows else "mute")
        share = fate.trained_tokens / fate.tokens if fate.tokens else 0.0
        kept = f"of {say.count(fate.tokens)} tokens"
        self.trained.show_value(say.share(share), kept, "mute" if share else "err")
        self.padding.show_value(say.share(fate.padding_share), f"in batches of {batch}")
        self.packed.show_value(say.share(fate.packing_share), "full lines when packed")
