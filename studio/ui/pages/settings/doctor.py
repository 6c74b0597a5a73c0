"""What works on this machine: the lines of `finetune-studio doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from studio.core.errors import StudioError
from studio.library.folders import Home
from studio.ui.icons import IconLabel
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    InlineMessage,
    Pill,
    ProgressBar,
    clear,
    column,
    label,
    row,
)

if TYPE_CHECKING:
    from studio.client.actions import Finding

SIGNS = {"ok": ("check-circle", "ok"), "warning": ("alert", "warn"), "problem": ("error", "err")}


def diagnose(home: Home) -> list[Finding]:
    """The doctor's findings; imported late, for the window opens without a client."""
    from studio.client import actions

    return actions.diagnose(home)


def as_text(findings: list[Finding]) -> str:
    """The findings for a message to somebody who helps."""
    lines = [f"{f.status:8} {f.name}: {f.text} {f.fix}".rstrip() for f in findings]
    return "\n".join(lines) + "\n"


class DoctorCard(Card):
    """A verdict, and a line for each thing looked at."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=14)
        self._session = session
        self.findings: list[Finding] = []
        self._asked = False
        self.verdict = Pill()
        self.again = Button("Check again", icon_name="refresh")
        self.again.clicked.connect(self.check)
        self.copy = Button("Copy", icon_name="copy", tip="Copy all lines")
        self.copy.setEnabled(False)
        self.copy.clicked.connect(self._copy)
        self.trainable = Button("What could I train on this card?", "link")
        self.trainable.clicked.connect(self._ask_trainable)
        self._busy = ProgressBar("Checking this machine")
        self._message = InlineMessage()
        self._lines = QGridLayout()
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setHorizontalSpacing(12)
        self._lines.setVerticalSpacing(10)
        self._lines.setColumnStretch(2, 1)
        self.add(row(label("Doctor", "h2"), self.verdict, None, self.copy, self.again))
        self.add(self._busy, self._message, self._lines, row(self.trainable, None))
        self._busy.hide()

    def check_once(self) -> None:
        """Check on the first visit of the page."""
        if not self._asked:
            self.check()

    def check(self) -> None:
        """Look again, off the window's thread."""
        self._asked = True
        self.again.setEnabled(False)
        self._message.hide()
        self._busy.set_value(None)
        self._busy.show()
        self._session.background(
            diagnose, self._session.home, done=self._show, failed=self._show_error
        )

    def _show(self, findings: list[Finding]) -> None:
        self._done()
        self.findings = findings
        self.copy.setEnabled(True)
        self.verdict.show_as(*_verdict(findings))
        clear(self._lines)
        for line, finding in enumerate(findings):
            self._add(line, finding)

    def _add(self, line: int, finding: Finding) -> None:
        top = Qt.AlignmentFlag.AlignTop
        sign = QWidget()
        sign.setLayout(column(1, IconLabel(*SIGNS[finding.status], 16), None))
        words = QWidget()
        text = column(label(finding.text, "sub", wrap=True, selectable=True), spacing=2)
        if finding.fix:
            text.addWidget(label(finding.fix, "", wrap=True, selectable=True))
        words.setLayout(text)
        words.setAccessibleName(f"{finding.name}: {finding.status}. {finding.text} {finding.fix}")
        self._lines.addWidget(sign, line, 0, top)
        self._lines.addWidget(label(finding.name, "b"), line, 1, top)
        self._lines.addWidget(words, line, 2, top)

    def _show_error(self, error: StudioError) -> None:
        self._done()
        self._message.show_error(error)

    def _done(self) -> None:
        self.again.setEnabled(True)
        self._busy.set_value(1.0)
        self._busy.hide()

    def _ask_trainable(self) -> None:
        from studio.ui.pages.trainable import TrainableDialog

        TrainableDialog(self._session, self.window()).exec()

    def _copy(self) -> None:
        QApplication.clipboard().setText(as_text(self.findings))
        self._session.said.emit("The doctor's lines are on the clipboard", "ok")


def _verdict(findings: list[Finding]) -> tuple[str, str]:
    problems = sum(finding.status == "problem" for finding in findings)
    remarks = sum(finding.status == "warning" for finding in findings)
    if problems:
        return ("1 problem" if problems == 1 else f"{problems} problems"), "err"
    if remarks:
        return ("1 remark" if remarks == 1 else f"{remarks} remarks"), "warn"
    return "All well", "ok"
