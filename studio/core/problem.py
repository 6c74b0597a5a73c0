"""One thing that is wrong, beside its field, with a fix."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend. An error blocks the start; `row` is a line number from 1; `source` says
    where the advice comes from, where that is a paper or a manual."""

    field: str
    text: str
    fix: str = ""
    severity: Severity = "error"
    row: int | None = None
    source: str = ""
