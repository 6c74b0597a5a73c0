"""What was found in the rows: each count opens its rows, and a rule can leave them out or mend."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.core.facts import DatasetReport
from studio.core.findings import Finding, RowRef, after_rules
from studio.core.problem import Problem
from studio.core.recipe import DataPart
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.seen_rows import SeenRows
from studio.ui.pages.new_run.wording import sentence
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    Card,
    Pill,
    Separator,
    Switch,
    clear,
    column,
    label,
    restyle,
    row,
)

_MENDS = {"trim": "Trim them", "mask-contact": "Mask it"}
_TYPICAL = (
    ("typical", "Most typical rows", "Most like the others, in words and length."),
    ("unusual", "Least typical rows", "Least like the others; worth a look."),
)


class FindingsCard(Card):
    """Writes data.drop and data.repair."""

    def __init__(self, session: Session, draft: RecipeDraft) -> None:
        super().__init__(spacing=12)
        self._session, self._draft = session, draft
        self._seen: DatasetReport | None = None
        self.lines: dict[str, FindingLine] = {}
        self._after = label("", "mute", wrap=True)
        self._list = QVBoxLayout()
        self._list.setSpacing(12)
        self.add(label("In your rows", "h2"), self._list, Separator(), self._after)
        self.hide()

    def refresh(self) -> None:
        """Show the report's findings, and the rules in force."""
        report = self._draft.report
        self.setVisible(bool(report and (report.findings or report.typical)))
        if report is None:
            return
        if report is not self._seen:
            self._seen = report
            self._show_report(report)
        for line in self.lines.values():
            line.show_rules(self._draft.recipe.data)

    def _show_report(self, report: DatasetReport) -> None:
        sound = report.usable_rows
        rules = after_rules(report.kept_rows, sound, report.dropped, report.repaired)
        kept = report.kept_rows or sound
        held = f", {say.count(report.eval_rows)} of them held out" if report.eval_rows else ""
        self._after.setText(rules or f"No rule leaves a row out: {say.count(kept)} rows{held}.")
        restyle(self._after, "t", "" if rules else "mute")
        found = [*report.findings, *_typical(report)]
        if [one.key for one in found] != list(self.lines):
            clear(self._list)
            self.lines = {one.key: FindingLine(self._session, self._draft, one) for one in found}
            for line in self.lines.values():
                self._list.addWidget(line)
        for one in found:
            self.lines[one.key].show_finding(one)


def told(report: DatasetReport | None, problem: Problem) -> bool:
    """Whether a finding says what a problem says; once is enough."""
    return any(sentence(one.text) == problem.text for one in report.findings) if report else False


class FindingLine(QWidget):
    """One finding: count, what it means, its rows, its rules."""

    def __init__(self, session: Session, draft: RecipeDraft, finding: Finding) -> None:
        super().__init__()
        self._draft, self._finding = draft, finding
        self._sign = IconLabel("info", "mute", 16)
        self._count = Pill(tone="plain")
        self._text = label("", "sub", wrap=True)
        self._fix = label("", "mute", wrap=True)
        self.rows = SeenRows(session)
        self.open = Button("Show rows", "ghost")
        self.open.setCheckable(True)
        self.open.setAccessibleName(f"Show rows: {finding.title}")
        self.open.toggled.connect(self._toggle)
        head = row(self._sign, label(finding.title, "b"), self._count, None, self.open, spacing=8)
        rules = row(spacing=8)
        self.drop = self._rule(rules, "data.drop", finding.drop, "Leave them out")
        mend = _MENDS.get(finding.repair, "Mend them")
        self.repair = self._rule(rules, "data.repair", finding.repair, mend)
        rules.addStretch(1)
        body = column(self._text, self._fix, spacing=3)
        if finding.drop or finding.repair:
            body.addLayout(rules)
        body.addWidget(self.rows)
        self.setLayout(column(head, row(24, body, spacing=0), spacing=3))

    def show_finding(self, finding: Finding) -> None:
        """Show its figures as they are now; rows that are open are read anew."""
        changed = finding.rows != self._finding.rows
        self._finding = finding
        warns = finding.severity != "info"
        self._sign.set_icon("alert" if warns else "info", "warn" if warns else "mute")
        self._count.show_as(say.count(finding.count) if finding.count else "", "plain")
        self._text.setText(finding.text)
        self._fix.setText(sentence(finding.fix))
        self._fix.setVisible(bool(finding.fix))
        self.open.setVisible(bool(finding.rows))
        if changed and self.open.isChecked():
            self._toggle(True)
        self.setAccessibleName(f"{finding.title}: {finding.text}")

    def show_rules(self, data: DataPart) -> None:
        """Show which rules are in force."""
        pairs = ((self.drop, self._finding.drop in data.drop),
                 (self.repair, self._finding.repair in data.repair))  # fmt: skip
        for switch, on in pairs:
            if switch is not None and switch.isChecked() != on:
                switch.blockSignals(True)
                switch.setChecked(on)
                switch.blockSignals(False)

    def _rule(self, into: QHBoxLayout, path: str, rule: str, words: str) -> Switch | None:
        if not rule:
            return None
        switch = Switch(f"{words}: {self._finding.title}")
        switch.toggled.connect(lambda on: self._set(path, rule, on))
        name = label(words, "")
        name.setBuddy(switch)
        into.addWidget(switch)
        into.addWidget(name)
        return switch

    def _set(self, path: str, rule: str, on: bool) -> None:
        rules = [each for each in self._draft.get(path) if each != rule]
        self._draft.set(path, [*rules, rule] if on else rules)

    def _toggle(self, on: bool) -> None:
        self.open.set_label("Hide rows" if on else "Show rows")
        self.open.setAccessibleName(f"{self.open.text()}: {self._finding.title}")
        if on:
            self.rows.show_rows(self._draft.recipe.dataset, self._finding.rows)
        else:
            self.rows.close_rows()


def _typical(report: DatasetReport) -> list[Finding]:
    found: list[Finding] = []
    for key, title, text in _TYPICAL:
        refs: Sequence[RowRef] = getattr(report, key)
        if refs:
            found.append(Finding(key=key, title=title, text=text, rows=tuple(refs)))
    return found
