"""Step 3: full fine-tuning, LoRA or QLoRA, and the adapter's shape."""

from __future__ import annotations

from PySide6.QtWidgets import QButtonGroup

from studio.core.advice import NAMES
from studio.core.recipe import LoraPart, Method
from studio.ui.icons import IconLabel
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fit.words import VERDICTS
from studio.ui.pages.new_run.looking import RowsLooker
from studio.ui.pages.new_run.step import Step
from studio.ui.pages.new_run.targets import TargetModules
from studio.ui.session import Session
from studio.ui.widgets import Card, OptionCard, ProblemList, column, grid, label, row
from studio.ui.widgets.flow import AdaptiveGrid

TEXTS: dict[Method, str] = {
    "lora": "The model stays as it is in 16 bits, and a small adapter learns beside it.",
    "qlora": "As LoRA, with the model held in 4 bits (NF4). Takes the least memory.",
    "full": "Every weight learns. Takes the most memory and disk, and gives a whole new model.",
}


class MethodStep(Step):
    """Chooses the method; says which one suits this model on this machine, and why."""

    heading = "Choose how to train"
    text = "The defaults work well for most models."

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__(session, draft, rows)
        self.cards: dict[Method, OptionCard] = {}
        group = QButtonGroup(self)
        for method, text in TEXTS.items():
            card = OptionCard(NAMES[method], text, height=124, pills_below=True)
            card.clicked.connect(lambda _=False, wanted=method: draft.set("method", wanted))
            group.addButton(card)
            self.cards[method] = card
        self.body.addLayout(AdaptiveGrid(3, 190, *self.cards.values()))
        self._reason = label("", "sub", wrap=True)
        self._lamp = IconLabel("info", "accent_text", 16)
        reason = row(column(1, self._lamp, None), spacing=8)
        reason.addWidget(self._reason, 1)
        self.body.addLayout(reason)
        self._problems = ProblemList()
        self.body.addWidget(self._problems)
        self.form = Form(draft)
        self._lora = self._adapter_card()
        self.body.addWidget(self._lora)
        self.body.addStretch(1)

    def _adapter_card(self) -> Card:
        usual = LoraPart()
        card = Card(spacing=16)
        card.add(label("The adapter", "h2"))
        form = self.form
        card.add(
            grid(
                3,
                form.number(
                    "lora.rank", "Rank", "Size of the adapter", whole=True, minimum=1, step=8
                ),
                form.number("lora.alpha", "Alpha", "Usually twice the rank", minimum=1e-9, step=8),
                form.number(
                    "lora.dropout",
                    "Dropout",
                    f"{usual.dropout:g} unless it overfits",
                    maximum=0.99,
                    step=0.05,
                ),
                spacing=16,
            )
        )
        self.targets = TargetModules(self.draft)
        card.add(self.targets)
        return card

    def refresh(self) -> None:
        advised = self.draft.recommendation
        for method, card in self.cards.items():
            card.setChecked(method == self.draft.method)
            pills = []
            if advised and advised.method == method:
                pills.append(("Recommended", "accent"))
            if advised:
                text, tone = VERDICTS[advised.verdicts[method]]
                pills += [(text, tone)] if text else []
            card.set_pills(pills)
        known = advised.reason if advised else "Choose a model first, and the studio says which."
        self._reason.setText(known)
        self._reason.setToolTip(f"Source: {advised.source}" if advised and advised.source else "")
        self._lora.setVisible(self.draft.method != "full")
        self._problems.show_problems(self.draft.problems_of("method"))
        self.form.refresh()
        self.targets.refresh()
