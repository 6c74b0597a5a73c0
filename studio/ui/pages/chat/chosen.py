"""What is chosen on the Chat page, as a conversation keeps it and finds it again."""

from __future__ import annotations

from studio.core.chats import Kept
from studio.ui.pages.chat.sampling import Sampling
from studio.ui.pages.chat.sides import BARE, Sides


def keep(kept: Kept, sides: Sides, sampling: Sampling) -> None:
    """Write down who answers next, and how."""
    kept.model, kept.sides = sides.model.value(), sides.sides()
    kept.model_name = sides.model.currentText()
    kept.system = sampling.system.toPlainText().strip()
    kept.sampling, kept.blind = sampling.chosen(), sides.blind.isChecked()


def show(kept: Kept, sides: Sides, sampling: Sampling) -> None:
    """Choose what was chosen."""
    sides.show_model(kept.model)
    sides.set_sides(kept.sides or [BARE])
    sides.blind.setChecked(kept.blind)
    sampling.show_values(kept.sampling, kept.system)
