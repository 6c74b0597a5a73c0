"""Step 4: presets, the basics, and everything."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QGridLayout

from studio.core.advice import PRESETS
from studio.core.recipe import DEFAULT_LEARNING_RATE, TrainingPart
from studio.ui import format as say
from studio.ui.pages.new_run.binding import Form
from studio.ui.pages.new_run.card_presets import CardPresets
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.looking import RowsLooker
from studio.ui.pages.new_run.step import Step
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    Field,
    Segmented,
    Separator,
    SettingRow,
    grid,
    label,
    row,
)

AUTO = [("auto", "Automatic"), ("yes", "Yes"), ("no", "No")]
OPTIMIZERS = [
    ("adamw", "AdamW"),
    ("adamw_8bit", "AdamW, 8-bit"),
    ("paged_adamw", "AdamW, paged"),
    ("paged_adamw_8bit", "AdamW, 8-bit and paged"),
    ("adafactor", "Adafactor"),
]
SCHEDULERS = [("cosine", "Cosine"), ("linear", "Linear"), ("constant", "Constant")]
DTYPES = [
    ("auto", "Automatic"),
    ("bfloat16", "bfloat16"),
    ("float16", "float16"),
    ("float32", "float32"),
]
TROUBLE = [("stop", "Stop and say why"), ("roll-back", "Go back and learn slower")]
PRECISIONS = [("auto", "Automatic"), ("16", "16-bit"), ("32", "32-bit"), ("8", "8-bit")]


class HyperStep(Step):
    """How long and how fast to learn."""

    heading = "Set the hyperparameters"
    text = "A preset sets them all; every one can be changed."

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__(session, draft, rows)
        self.form = Form(draft)
        self.presets = Segmented("Preset", [(p.key, p.name) for p in PRESETS])
        self.presets.selected.connect(self._preset)
        self._preset_text = label("", "mute", wrap=True)
        basics = Card(spacing=16)
        basics.add(row(label("Basics", "h2"), None, self.presets), self._preset_text)
        self.cards = CardPresets(draft)
        basics.add(self.cards, self._basics(), Separator(), *self._switches())
        self.body.addWidget(basics)
        self.more = Button("Show everything", "link", "chevron-right")
        self.more.clicked.connect(self._toggle)
        self.body.addLayout(row(self.more, None))
        self.everything = Card(spacing=16)
        parts = {
            "Learning": self._learning(),
            "The machine": self._machinery(),
            "Safety": self._safety(),
        }
        self._more_fields = [field for fields in parts.values() for field in fields]
        self.everything.add(label("Everything", "h2"))
        for title, fields in parts.items():
            self.everything.add(label(title, "cap"), grid(2, *fields, spacing=16))
        self.everything.hide()
        self.body.addWidget(self.everything)
        self.body.addStretch(1)

    def _basics(self) -> QGridLayout:
        form = self.form
        self._rate = form.number(
            "training.learning_rate",
            "Learning rate",
            "Lower is slower and steadier",
            factor=2.0,
            empty=0.0,
            placeholder="Automatic",
        )
        self._epochs = form.number(
            "training.epochs", "Epochs", "Times the model sees each row", minimum=0.01
        )
        self._batch = form.number(
            "training.batch_size", "Batch size", "Rows of one step", whole=True, minimum=1
        )
        patience = form.number(
            "training.early_stopping_patience",
            "Stop early after",
            "Evaluations without a better loss",
            whole=True,
            empty=0,
            placeholder="Never",
        )
        return grid(2, self._epochs, self._rate, self._batch, patience, spacing=16)

    def _switches(self) -> list[SettingRow]:
        text = "At the end, keep the weights with the lowest held-out loss, not the last ones"
        return [self.form.switch("training.keep_best", "Keep the best", text)]

    def _learning(self) -> list[Field]:
        """What decides how it learns."""
        form, usual = self.form, TrainingPart()
        return [
            form.choice("training.scheduler", "Schedule", SCHEDULERS, "How the rate falls"),
            form.number(
                "training.warmup_share",
                "Warm-up",
                "Share of the run in which the rate rises",
                maximum=0.99,
                step=0.01,
            ),
            form.choice("training.optimizer", "Optimizer", OPTIMIZERS, "8-bit takes less memory"),
            form.number("training.weight_decay", "Weight decay", "0 is usual here", step=0.01),
            form.number(
                "training.max_grad_norm",
                "Clip gradients at",
                f"{usual.max_grad_norm:g} is usual; 0 never clips",
            ),
        ]

    def _machinery(self) -> list[Field]:
        """What decides how the machine does it."""
        form = self.form
        auto: dict[str, Any] = {"empty": 0, "placeholder": "Automatic"}
        return [
            form.number(
                "training.micro_batch_size",
                "Micro-batch",
                "Rows at once; less takes less memory",
                whole=True,
                **auto,
            ),
            form.choice(
                "training.gradient_checkpointing",
                "Gradient checkpointing",
                AUTO,
                "Recomputes activations: less memory, more time",
            ),
            form.yes_no(
                "training.offload_activations",
                "Activations in system memory",
                "Less of a card's memory, slower steps",
            ),
            form.yes_no(
                "training.optimizer_in_backward",
                "Update while going backward",
                "Full fine-tuning: never all gradients at once",
            ),
            form.choice("data.packing", "Packing", AUTO, "Several short rows in one sequence"),
            form.choice("training.dtype", "Computes in", DTYPES, "What this machine does well"),
            form.choice(
                "training.base_precision", "Base held in", PRECISIONS, "The frozen base's weights"
            ),
            form.number(
                "training.max_steps",
                "Step limit",
                "Ends the run after that many steps",
                whole=True,
                empty=0,
                placeholder="None",
            ),
            form.number(
                "training.eval_every", "Evaluate every", "Steps", whole=True, step=10, **auto
            ),
            form.number("training.seed", "Seed", "The same seed repeats the run", whole=True),
        ]

    def _safety(self) -> list[Field]:
        """What decides how much can be lost, and what happens in trouble."""
        form = self.form
        return [
            form.number(
                "training.save_every_minutes",
                "Save every (minutes)",
                "A crash costs no more work than this",
                minimum=0.01,
                step=1,
            ),
            form.number(
                "training.keep_checkpoints",
                "Checkpoints kept",
                "The newest ones; the best is kept beside them",
                whole=True,
                minimum=1,
            ),
            form.choice(
                "training.on_trouble",
                "When training goes wrong",
                TROUBLE,
                "The loss is no number, stays at zero or explodes",
            ),
        ]

    def refresh(self) -> None:
        key = matching_preset(self.draft)
        self.presets.set_value(key)
        text = next((p.text for p in PRESETS if p.key == key), "Your own settings.")
        self._preset_text.setText(text)
        self.cards.refresh()
        usual = DEFAULT_LEARNING_RATE[self.draft.method]
        self._rate.set_hint(f"Automatic is {say.rate(usual)} for this method")
        self.form.refresh()
        hidden = self.everything.isHidden()
        if hidden and any(field.problems() for field in self._more_fields):
            self._toggle()  # what is wrong must be in view

    def _preset(self, key: str) -> None:
        self.draft.apply_preset(next(p for p in PRESETS if p.key == key))

    def _toggle(self) -> None:
        shown = self.everything.isHidden()
        self.everything.setVisible(shown)
        text, icon = (
            ("Show less", "chevron-down") if shown else ("Show everything", "chevron-right")
        )
        self.more.set_label(text, icon)


def matching_preset(draft: RecipeDraft) -> str:
    """The key of the preset whose values the draft has, or ""."""
    recipe = draft.recipe
    for preset in PRESETS:
        training = {"early_stopping_patience": 0} | preset.training
        same = all(getattr(recipe.training, name) == value for name, value in training.items())
        adapter = all(getattr(recipe.lora, name) == value for name, value in preset.lora.items())
        if same and (adapter or recipe.method == "full"):
            return preset.key
    return ""
