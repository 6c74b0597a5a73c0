"""The chat templates that may be chosen for a model, each with a short chat as it writes it."""

from __future__ import annotations

from pathlib import Path

from studio.core.errors import StudioError
from studio.core.facts import TemplateChoice
from studio.core.recipe import DataPart
from studio.library import chat_templates
from studio.preparer import rendering
from studio.preparer.messages import BadRow, Message, Sample
from studio.preparer.tokens import Encoder

_CHAT: tuple[Message, ...] = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
)


def choices(model: Path, chosen: str = "", system_prompt: str = "") -> list[TemplateChoice]:
    """The model's own template (or what stands in for it) and those of the studio, or else the
    `chosen` one. Raises StudioError where the tokenizer can't be read."""
    names = [chosen] if chosen else ["", *chat_templates.MARKS]
    with rendering.warm():
        return [_choice(model, name, system_prompt) for name in names]


def _choice(model: Path, name: str, system_prompt: str) -> TemplateChoice:
    chat = _CHAT[1:] if system_prompt else _CHAT
    try:
        encoder = Encoder(model, DataPart(template=name, system_prompt=system_prompt))
    except StudioError as error:
        if not error.problems:
            raise
        return TemplateChoice(name=name, source=Path(name).name, problem=_said(error))
    preview = problem = ""
    with encoder:
        try:
            preview = encoder.render(Sample(messages=chat))
        except StudioError as error:
            problem = _said(error)
        except BadRow as bad:
            problem = f"A short chat {bad.why}."
        return TemplateChoice(
            name=name,
            source=encoder.template.source,
            missing=encoder.template.missing,
            preview=preview,
            problem=problem,
        )


def _said(error: StudioError) -> str:
    return f"{error.text} {error.fix}".strip()
