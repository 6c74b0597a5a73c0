"""Everything that is wrong with a recipe, all at once, each beside its field with a fix."""

from __future__ import annotations

from studio.core.checking import check
from studio.core.problem import Problem, Severity
from studio.core.reading import read, read_leniently

__all__ = ["Problem", "Severity", "blocking", "check", "read", "read_leniently"]


def blocking(problems: list[Problem]) -> list[Problem]:
    """Those that stop a start."""
    return [problem for problem in problems if problem.severity == "error"]
