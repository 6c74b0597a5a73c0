"""What a column may be, and what a mapping comes to when one more column gets a role."""

from __future__ import annotations

from collections.abc import Mapping

ROLES = {
    "prompt": ("Prompt", "What is asked"),
    "input": ("Input", "Added to the prompt"),
    "completion": ("Answer", "What the model should say"),
    "system": ("System prompt", "How it should behave"),
    "messages": ("Messages", "A whole chat in one column"),
    "text": ("Text", "Learnt as it stands"),
    "history": ("Earlier turns", "What was said before the prompt"),
    "tools": ("Tools", "Functions that it may call"),
    "chosen": ("Preferred answer", "The better of two"),
    "rejected": ("Rejected answer", "The worse of two"),
    "label": ("Good or bad", "Whether the answer is worth learning"),
    "answers": ("Several answers", "A list; the best is learnt"),
    "scores": ("Scores", "How good each of several answers is"),
    "input_ids": ("Token ids", "Tokenized already"),
    "labels": ("Labels", "Which token ids are learnt"),
}
USUAL = ("prompt", "input", "completion", "system", "messages", "text")
"""The roles offered first."""
_TOGETHER = (
    ("prompt", "input", "completion", "system", "history", "tools", "label"),
    ("messages", "system", "tools", "label"),
    ("text",),
    ("prompt", "chosen", "rejected", "system"),
    ("prompt", "answers", "scores", "system"),
    ("input_ids", "labels", "attention_mask"),
)


def given(roles: Mapping[str, str], role: str, column: str) -> dict[str, str]:
    """The mapping with this role for a column, without what can't stand beside it.

    A column plays one role and a role has one column; an empty role takes the column out.
    """
    kept = {r: c for r, c in roles.items() if c != column and r != role}
    if not role:
        return kept
    groups = [group for group in _TOGETHER if role in group]
    best = max(groups, key=lambda group: sum(r in group for r in kept))
    return {r: c for r, c in kept.items() if r in best} | {role: column}


def title_of(role: str) -> str:
    """What the window calls a role."""
    return ROLES[role][0] if role in ROLES else role.replace("_", " ").capitalize()
