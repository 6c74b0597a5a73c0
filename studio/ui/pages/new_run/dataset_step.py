"""Step 2: the rows, what they are recognised as, and how the model will see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.core.facts import DatasetReport
from studio.library import own_datasets
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.dataset_card import SURE, DatasetCard, Reading, piece_of
from studio.ui.pages.new_run.dataset_chooser import DatasetChooser
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.findings_card import FindingsCard, told
from studio.ui.pages.new_run.length_card import LengthCard
from studio.ui.pages.new_run.looking import AT_ONCE, RowsLooker
from studio.ui.pages.new_run.mapping import Mapping
from studio.ui.pages.new_run.split_card import SplitCard
from studio.ui.pages.new_run.step import DATASET, Step
from studio.ui.pages.new_run.token_lens import TokenLens
from studio.ui.pages.new_run.writing_card import WritingCard
from studio.ui.session import Session
from studio.ui.widgets import Button, Card, InlineMessage, ProblemList, clear, column, row

OWN = ("data.max_length", "data.train_on", "data.eval_share", "data.template",
       "data.system_prompt", "data.group_by", "data.drop", "data.repair")  # fmt: skip
"""Fields that show their problems themselves."""


class DatasetStep(Step):
    """Chooses the datasets and shows them, token by token."""

    heading = "Add your dataset"
    text = "One example a row: what is asked, and the answer you want."

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__(session, draft, rows)
        self._seen: DatasetReport | None = None
        self._adding = False
        self._named: tuple[str, ...] = ()
        self.cards: list[DatasetCard] = []
        self.chooser = DatasetChooser()
        self.chooser.chosen.connect(self._add)
        self.chooser.texts_chosen.connect(self._cut)
        self.chooser.closed.connect(lambda: self._ask(False))
        self.add_button = Button("Add another dataset", "ghost", "plus")
        self.add_button.clicked.connect(lambda: self._ask(True))
        self.reading = Reading()
        self.reading.cancelled.connect(rows.give_up)
        self._details = QWidget()
        self._details.setLayout(self._report_part())
        self._list = column(spacing=10)
        self.body.addLayout(self._list)
        self._another = QWidget()
        self._another.setLayout(row(self.add_button, None))
        for part in (self._another, self.chooser, self.reading, self._details):
            self.body.addWidget(part)
        self.body.addStretch(1)
        self._listen(rows)

    def _listen(self, rows: RowsLooker) -> None:
        rows.began.connect(self.reading.begin)
        rows.progressed.connect(self.reading.progress)
        rows.ended.connect(self.reading.end)
        rows.renewed.connect(self.lens.renew)
        rows.examples.connect(self.lens.show_rows)
        rows.no_examples.connect(lambda error: self.lens.show_note(f"{error.text} {error.fix}"))

    def _report_part(self) -> QVBoxLayout:
        self.form = Form(self.draft)
        self.mapping = Mapping(self.draft, self.rows)
        self.mapping.hide()
        self.mapping.shown.connect(self._show_problems)
        self.message = InlineMessage()
        self.message.acted.connect(self._again)
        self.lens = TokenLens()
        self.lens.wanted.connect(lambda place: self.rows.want_examples(place // AT_ONCE * AT_ONCE))
        self.writing = WritingCard(self.session, self.draft, self.form)
        self.lengths = LengthCard(self.draft, self.form)
        self.split = SplitCard(self.draft, self.form)
        self.findings = FindingsCard(self.session, self.draft)
        self._problems = Card(margin=16, spacing=8)
        self._found = ProblemList()
        self._problems.add(self._found)
        return column(
            self.message,
            self.mapping,
            self._problems,
            self.lens,
            self.writing,
            self.lengths,
            self.findings,
            self.split,
            spacing=16,
        )

    # showing

    def entered(self) -> None:
        super().entered()
        self._offer_sets()

    def _offer_sets(self) -> None:
        home = self.session.home
        self.session.background(own_datasets.listing, home, done=self.chooser.offer)

    def complete(self) -> bool:
        return self.draft.dataset_part is not None

    def refresh(self) -> None:
        parts, report = self.draft.recipe.dataset, self.draft.report
        if not parts:
            self._adding = False
            self.mapping.hide()
        self.chooser.setVisible(self._adding or not parts)
        self.chooser.ask_for_first(not parts)
        self._another.setVisible(bool(parts) and not self._adding)
        self._details.setVisible(bool(parts))
        self._show_cards(tuple(part.path for part in parts))
        if not parts:
            return
        self._show_error()
        self._show_report(report)
        self.form.refresh()
        for path, field in self.form.fields.items():
            found = self.draft.problems_of(path)
            field.show_problems([each for each in found if not told(report, each)])
        self.writing.refresh()
        self.mapping.refresh()
        self.split.refresh()

    def _show_cards(self, names: tuple[str, ...]) -> None:
        if names != self._named:
            self._named = names
            clear(self._list)
            self.mapping.forget()
            self.cards = [DatasetCard(self.draft, place) for place in range(len(names))]
            for card in self.cards:
                card.mapped.connect(self._toggle_mapping)
                card.editing.connect(self._edit)
                self._list.addWidget(card)
        for card in self.cards:
            card.refresh()

    def _show_error(self) -> None:
        problem = self.draft.dataset_problem
        if problem is None or problem.field in OWN:
            self.message.hide()
        elif problem.text not in self.message.accessibleName() or self.message.isHidden():
            self.message.show_message(
                "The dataset can't be used", problem.text, problem.fix, action="Try again"
            )

    def _show_report(self, report: DatasetReport | None) -> None:
        """What isn't known yet is about to be; what can't be read has nothing to show."""
        problem = self.draft.dataset_problem
        readable = problem is None or problem.field in OWN
        known = report is not None and report.usable_rows > 0
        shown = readable and (known or report is None)
        for card in (self.lens, self.writing, self.lengths, self.split):
            card.setVisible(shown)
        self.lengths.refresh()
        self.findings.refresh()
        self._show_problems()
        if report is self._seen:
            return
        self._seen = report
        if report is not None:
            self._show_new(report)
        elif readable:
            self.lens.reset(0)

    def _show_new(self, report: DatasetReport) -> None:
        """What changes only with another report."""
        for place in range(len(self.cards)):
            piece = piece_of(report, place)
            unsure = report.confidence < SURE if piece is None else piece.confidence < SURE
            if unsure and (piece.columns if piece else report.columns):
                self.mapping.show_dataset(place)
                break
        self.lens.set_count(report.rows)
        if self.draft.model is None:
            self.lens.show_note("Choose a model first: each has its own tokens and chat template.")

    def _show_problems(self) -> None:
        shown = [
            problem
            for problem in self.draft.problems
            if DATASET.owns(problem)
            and problem.field not in OWN
            and problem != self.draft.dataset_problem
            and not told(self.draft.report, problem)
            and not self.mapping.asks(problem)
        ]
        self._found.show_problems(shown)
        self._problems.setVisible(bool(shown))

    # acting

    def _add(self, part: dict[str, Any]) -> None:
        self._adding = False
        self.draft.add_dataset(part)

    def _cut(self, folder: str) -> None:
        from studio.ui.pages.datasets import cut_folder

        def built(name: str) -> None:
            self._add({"path": name})
            self._offer_sets()

        cut_folder(self.session, self, Path(folder), self.draft.model, built)

    def _ask(self, adding: bool) -> None:
        self._adding = adding
        self.refresh()
        (self.chooser.drop if adding else self.add_button).setFocus()

    def _edit(self, place: int) -> None:
        from studio.ui.pages.datasets import edit_copy

        def copied(name: str) -> None:
            self.draft.change_dataset(
                place, path=name, columns=None, config=None, split=None, revision=None, limit=None
            )

        part = self.draft.recipe.dataset[place]
        edit_copy(self.session, self, part, copied, self.rows.again)

    def _again(self) -> None:
        self.message.hide()
        self.rows.look()

    def _toggle_mapping(self, place: int) -> None:
        if self.mapping.isHidden() or self.mapping.place != place:
            self.mapping.show_dataset(place)
        else:
            self.mapping.hide()
