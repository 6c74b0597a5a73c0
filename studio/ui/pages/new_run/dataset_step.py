"""Step 2: the rows, what they are recognised as, and how the model will see them."""

from __future__ import annotations

from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from studio.core.facts import DatasetReport
from studio.library.datasets import SAMPLE
from studio.ui import format as say
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.columns import ColumnMapping
from studio.ui.pages.new_run.dataset_card import SURE, ChosenDataset
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.histogram import Histogram
from studio.ui.pages.new_run.looking import AT_ONCE, RowsLooker
from studio.ui.pages.new_run.step import DATASET, Step
from studio.ui.pages.new_run.token_lens import TokenLens
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    DropZone,
    InlineMessage,
    LineEdit,
    OptionCard,
    ProblemList,
    StatTile,
    column,
    grid,
    label,
    row,
)
from studio.ui.widgets.flow import AdaptiveGrid

FILTERS = "Datasets (*.jsonl *.json *.csv *.tsv *.parquet *.txt *.gz *.zst);;All files (*)"
TRAIN_ON = [
    ("assistant", "Answers"),
    ("last", "The last answer"),
    ("everything", "Every token"),
]


class DatasetStep(Step):
    """Chooses the dataset and shows it, token by token."""

    heading = "Add your dataset"
    text = "One example a row: what is asked, and the answer you want."

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__(session, draft, rows)
        self._seen: DatasetReport | None = None
        self._choose = self._chooser()
        self._chosen = ChosenDataset()
        self._chosen.replace.clicked.connect(lambda: draft.set_dataset(""))
        self._chosen.map.clicked.connect(self._toggle_columns)
        self._chosen.cancelled.connect(rows.give_up)
        self._details = QWidget()
        self._details.setLayout(self._report_part())
        for part in (self._choose, self._chosen, self._details):
            self.body.addWidget(part)
        self.body.addStretch(1)
        rows.began.connect(self._chosen.begin)
        rows.progressed.connect(self._chosen.progress)
        rows.ended.connect(self._chosen.end)
        rows.examples.connect(self.lens.show_rows)
        rows.no_examples.connect(lambda error: self.lens.show_note(f"{error.text} {error.fix}"))

    # building

    def _chooser(self) -> QWidget:
        self.sample = OptionCard(
            "The sample dataset",
            "440 short notes, each turned into one exact JSON form. Comes with the studio, CC0.",
            "file",
        )
        self.sample.clicked.connect(lambda: self.draft.set_dataset(SAMPLE))
        self.drop = DropZone(
            "Drop a file or folder here",
            "or press to browse: JSONL, JSON, CSV, TSV, Parquet or text",
        )
        self.drop.dropped.connect(lambda paths: self.draft.set_dataset(str(paths[0])))
        self.drop.pressed.connect(self._browse)
        self.folder = Button("Choose a folder", icon_name="folder")
        self.folder.clicked.connect(self._browse_folder)
        self.typed = LineEdit("Path of a dataset", placeholder="Or type a path", icon_name="file")
        self.typed.returnPressed.connect(self._typed)
        whole = QWidget()
        line = row(self.typed, self.folder, spacing=10)
        whole.setLayout(
            column(
                label("FOR A FIRST TRY", "cap"),
                self.sample,
                4,
                label("YOUR OWN", "cap"),
                self.drop,
                line,
                spacing=12,
            )
        )
        return whole

    def _report_part(self) -> QVBoxLayout:
        self.columns = ColumnMapping(self.draft)
        self.columns.hide()
        self.message = InlineMessage()
        self.lens = TokenLens()
        self.lens.wanted.connect(lambda place: self.rows.want_examples(place // AT_ONCE * AT_ONCE))
        self._usable = StatTile("Ready to use")
        self._tokens = StatTile("Tokens")
        self._learnt = StatTile("Trained")
        self._cut = StatTile("Too long")
        tiles = AdaptiveGrid(4, 130, self._usable, self._tokens, self._learnt, self._cut)
        self._lengths = Card(margin=16, spacing=10)
        self.histogram = Histogram()
        self._lengths.add(label("Rows by length", "h2"), self.histogram)
        self._findings = Card(margin=16, spacing=8)
        self._found = ProblemList()
        self._findings.add(self._found)
        return column(
            self.message,
            self._findings,
            self.columns,
            self.lens,
            tiles,
            self._lengths,
            self._settings(),
            spacing=16,
        )

    def _settings(self) -> Card:
        self.form = Form(self.draft)
        card = Card(spacing=16)
        card.add(label("How rows become tokens", "h2"))
        self._length = self.form.number(
            "data.max_length",
            "Longest row",
            "Tokens; the rest is cut off",
            whole=True,
            minimum=1,
            step=64,
        )
        learn = self.form.choice("data.train_on", "Learn", TRAIN_ON, "Which tokens are trained")
        held = self.form.number(
            "data.eval_share",
            "Held out",
            "Share of rows kept to test with",
            maximum=0.99,
            step=0.05,
        )
        card.add(grid(3, self._length, learn, held, spacing=16))
        return card

    # showing

    def complete(self) -> bool:
        return self.draft.dataset_part is not None

    def refresh(self) -> None:
        part, report = self.draft.dataset_part, self.draft.report
        self._choose.setVisible(part is None)
        self._chosen.setVisible(part is not None)
        self._details.setVisible(part is not None)
        if part is None:
            return
        self._chosen.show_dataset(part, report)
        self._show_error()
        self._show_report(report)
        self.form.refresh()

    def _show_error(self) -> None:
        problem = self.draft.dataset_problem
        if problem is None:
            self.message.hide()
        elif problem.text not in self.message.accessibleName() or self.message.isHidden():
            self.message.show_message("The dataset can't be used", problem.text, problem.fix)

    def _show_report(self, report: DatasetReport | None) -> None:
        known = report is not None and report.usable_rows > 0
        counted = known and report is not None and report.tokens > 0
        for widget in (self._usable, self._tokens, self._learnt, self._cut):
            widget.setVisible(known)
        self._lengths.setVisible(counted)
        self.lens.setVisible(known)
        self._show_findings()
        if report is None or not report.columns:
            self.columns.hide()  # there is nothing to choose from
        if report is None or report is self._seen:
            return
        self._seen = report
        self._show_new(report)

    def _show_new(self, report: DatasetReport) -> None:
        """What changes only with another report."""
        if report.confidence < SURE and report.columns:
            self.columns.show()
        self.columns.refresh()
        broken = report.rows - report.usable_rows
        said = f"{say.count(broken)} can't be used" if broken else "every row can be used"
        self._usable.show_value(say.count(report.usable_rows), said)
        self._show_tokens(report)
        limit = self.draft.recipe.data.max_length
        self.histogram.show_counts(report.histogram, report.bin_tokens, limit)
        self.lens.reset(report.rows)
        if self.draft.model is None:
            self.lens.show_note("Choose a model first: each has its own tokens and chat template.")
        else:
            self.rows.want_examples(0)

    def _show_tokens(self, report: DatasetReport) -> None:
        if not report.tokens:
            for tile in (self._tokens, self._learnt, self._cut):
                tile.show_value("\N{EN DASH}", "needs a model")
            return
        mean = f"{report.mean_tokens:.0f} a row, {say.count(report.max_tokens)} at most"
        self._tokens.show_value(say.count(report.tokens), mean)
        self._learnt.show_value(say.share(report.trained_share), "of the tokens are trained")
        cut = "no row is cut off" if not report.cut_rows else "rows will be cut off"
        self._cut.show_value(say.count(report.cut_rows), cut, "warn" if report.cut_rows else "mute")

    def _show_findings(self) -> None:
        own = {"data.max_length", "data.train_on", "data.eval_share"}
        shown = [
            problem
            for problem in self.draft.problems
            if DATASET.owns(problem)
            and problem.field not in own
            and problem != self.draft.dataset_problem
        ]
        self._found.show_problems(shown)
        self._findings.setVisible(bool(shown))

    # acting

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a dataset", "", FILTERS)
        if chosen:
            self.draft.set_dataset(chosen)

    def _browse_folder(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "Choose a folder with a dataset"):
            self.draft.set_dataset(chosen)

    def _typed(self) -> None:
        if path := self.typed.text().strip():
            self.draft.set_dataset(path)

    def _toggle_columns(self) -> None:
        self.columns.refresh()
        self.columns.setVisible(self.columns.isHidden())
