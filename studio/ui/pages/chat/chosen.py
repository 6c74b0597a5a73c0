"""What is chosen on the Chat page, as a conversation keeps it and finds it again."""

from __future__ import annotations

from pathlib import Path

from studio.core.chats import Kept
from studio.core.errors import StudioError
from studio.library import gguf_files, mixing
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


def missing(kept: Kept) -> StudioError | None:
    """What to say where a conversation's model isn't there any more."""
    if Path(kept.model).exists():
        return None
    return StudioError(
        "Its model isn't there any more",
        f"{kept.model_name or kept.model} was moved or deleted.",
        "Choose another model to go on.",
    )


def servable(sides: Sides) -> tuple[str, list[str]]:
    """Model and adapters that other programs can talk with: a mix that isn't baked is nobody's
    folder, and stays here. Raises StudioError for a GGUF file as the model."""
    model = sides.model.value()
    if gguf_files.names_file(model):
        raise StudioError(
            "GGUF files aren't served here",
            "Ollama, LM Studio and llama.cpp's own server open the file as it is.",
        )
    here = (mixing.names_draft, gguf_files.names_file)
    return model, [s for s in sides.sides() if s and not any(one(s) for one in here)]
