"""A form field: label, editor, hint, and what is wrong with it, right beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.core.problem import Problem
from studio.ui.icons import IconLabel
from studio.ui.widgets.layout import clear, column, restyle, row
from studio.ui.widgets.text import Pill, label

_TONES = {"error": ("error", "err"), "warning": ("alert", "warn"), "info": ("info", "mute")}


class Field(QWidget):
    """One setting. `editor` gets the label as buddy and its name for screen readers."""

    def __init__(self, title: str, editor: QWidget, hint: str = "", path: str = "") -> None:
        """`path` is the dotted recipe field whose problems belong here."""
        super().__init__()
        self.editor, self.path = editor, path
        self._title, self._hint_text = title, hint
        name = label(title, "b")
        name.setBuddy(editor)
        if not editor.accessibleName():
            editor.setAccessibleName(title)
        self._hint = label(hint, "mute", wrap=True)
        if not hint:
            self._hint.hide()
        self._problems = QVBoxLayout()
        self._problems.setContentsMargins(0, 0, 0, 0)
        self._problems.setSpacing(4)
        box = column(name, editor, self._hint, self._problems, spacing=6)
        box.addStretch(1)
        self.setLayout(box)
        self._shown: tuple[Problem, ...] = ()
        self._describe()

    def set_hint(self, hint: str) -> None:
        """Replace the muted line under the editor."""
        self._hint_text = hint
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint) and not self._shown)
        self._describe()

    def problems(self) -> tuple[Problem, ...]:
        return self._shown

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Show these beside the editor, in place of the hint; an empty list clears them."""
        if tuple(problems) == self._shown:
            return
        self._shown = tuple(problems)
        clear(self._problems)
        for problem in self._shown:
            self._problems.addWidget(ProblemLine(problem))
        self._hint.setVisible(not self._shown and bool(self._hint_text))
        worst = {p.severity for p in self._shown}
        mark = "blocks" if "error" in worst else "warns" if "warning" in worst else ""
        restyle(self.editor, "problem", mark)
        self._describe()

    def _describe(self) -> None:
        words = [f"{p.text} {p.fix}" for p in self._shown] or [self._hint_text]
        self.editor.setAccessibleDescription(" ".join(words).strip())


class ProblemLine(QWidget):
    """One problem: a sign, what is wrong, and what to do about it."""

    def __init__(self, problem: Problem, where: str = "") -> None:
        super().__init__()
        icon_name, tone = _TONES[problem.severity]
        sign = column(1, IconLabel(icon_name, tone, 14), None)
        row_name = f"Row {problem.row}"
        told = problem.row is None or problem.text.startswith(row_name)
        place = "" if told else f"{row_name}: "
        prefix = f"{where}: " if where else ""
        said = label(f"{prefix}{place}{problem.text}", tone, wrap=True)
        words = column(said, spacing=1)
        if problem.fix:
            words.addWidget(label(problem.fix, "mute", wrap=True))
        box = row(sign, spacing=6)
        box.addLayout(words, 1)
        self.setLayout(box)
        self.setAccessibleName(f"{prefix}{place}{problem.text} {problem.fix}".strip())
        self.setToolTip(f"Source: {problem.source}" if problem.source else "")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)


class ProblemList(QWidget):
    """Problems one under the other: all errors, and of the rest no more than can be read."""

    def __init__(self, limit: int = 6) -> None:
        super().__init__()
        self._limit = limit
        self._shown: tuple[Problem, ...] | None = None
        self._lines = QVBoxLayout(self)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(8)

    def show_problems(
        self, problems: Sequence[Problem], where: Callable[[Problem], str] | None = None
    ) -> None:
        """Replace what is shown; `where` names the place of a problem before its text."""
        if tuple(problems) == self._shown:
            return
        self._shown = tuple(problems)
        clear(self._lines)
        errors = [problem for problem in problems if problem.severity == "error"]
        others = [problem for problem in problems if problem.severity != "error"]
        for problem in [*errors, *others[: self._limit]]:
            self._lines.addWidget(ProblemLine(problem, where(problem) if where else ""))
        if (more := len(others) - self._limit) > 0:
            self._lines.addWidget(label(f"And {more:,} more like these.", "mute"))


class SettingRow(QWidget):
    """One setting on a line: name and explanation left, its control right."""

    def __init__(self, title: str, text: str, control: QWidget) -> None:
        super().__init__()
        self.control = control
        if not control.accessibleName():
            control.setAccessibleName(title)
        self._about = text
        name = label(title, "b")
        name.setBuddy(control)
        self._text = label("", "mute", wrap=True)
        self._not_here = Pill()
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(16)
        head = row(name, self._not_here, None, spacing=8)
        box.addLayout(column(head, self._text, spacing=2), 1)
        box.addWidget(control)
        self.explain()

    def explain(self, text: str = "", tone: str = "mute") -> None:
        """Say this in place of the explanation, as `err` what is wrong; nothing brings it back."""
        self._text.setText(text or self._about)
        restyle(self._text, "t", tone if text else "mute")
        self._describe()

    def block(self, why: str) -> None:
        """This machine can't do it, and why in two or three words; nothing: it can."""
        self.control.setEnabled(not why)
        self._not_here.show_as(why, "plain")
        self._describe()

    def _describe(self) -> None:
        said = f"{self._not_here.text()} {self._text.text()}".strip()
        self.control.setAccessibleDescription(said)
