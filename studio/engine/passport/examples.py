"""The worst examples of an export: live answers, token by token, with what it would say instead."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from studio.core.passport import Example, Token
from studio.engine.passport.live import Reference

MOST, LONGEST_PROMPT = 6, 600


def worst(
    asked: Reference, kl: Sequence[float], chosen: Sequence[torch.Tensor], answers: Sequence[str]
) -> tuple[Example, ...]:
    """The rows that are furthest apart, the worst first; none twice for one prompt."""
    found: list[Example] = []
    for line in sorted(range(len(kl)), key=lambda i: -kl[i]):
        example = _example(asked, line, kl[line], chosen[line], answers)
        if len(found) < MOST and all(example.prompt != other.prompt for other in found):
            found.append(example)
    return tuple(found)


def _example(
    asked: Reference, line: int, kl: float, chosen: torch.Tensor, answers: Sequence[str]
) -> Example:
    row, told = asked.rows[line], asked.told[line]
    mine = told.logprobs.argmax(-1)
    tokens = tuple(
        Token(
            text=_text(asked, target),
            instead="" if int(chosen[i]) == int(mine[i]) else _text(asked, int(chosen[i])),
        )
        for i, target in enumerate(row.targets)
    )
    place = line - asked.held
    asks = asked.prompts[place] if 0 <= place < len(asked.prompts) else None
    prompt = asks.text if asks else _prompt(asked, line)
    exported = answers[place] if asks and place < len(answers) else ""
    return Example(prompt=prompt, live=tokens, exported=exported, kl=kl)


def _prompt(asked: Reference, line: int) -> str:
    row = asked.rows[line]
    ids = list(row.ids[: row.places[0] + 1])
    return str(asked.tokenizer.decode(ids))[-LONGEST_PROMPT:]


def _text(asked: Reference, token: int) -> str:
    return str(asked.tokenizer.decode([token], clean_up_tokenization_spaces=False))
