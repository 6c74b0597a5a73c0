"""The one exception that a person gets to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studio.core.problem import Problem


class StudioError(Exception):
    """Something the user can act on.

    `title` names it in a few words, `text` says in one sentence what happened and
    `fix` in one sentence what to do. `problems` lists several at once, each with its
    field or row.
    """

    def __init__(
        self, title: str, text: str, fix: str = "", problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(f"{title}: {text} {fix}".strip())
        self.title = title
        self.text = text
        self.fix = fix
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.title, self.text, self.fix, self.problems))
