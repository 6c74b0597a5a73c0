"""What is found in the rows of a dataset, on a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import get_args

import msgspec

from studio.core.errors import StudioError
from studio.core.facts import DatasetReport
from studio.core.findings import KINDS, Finding, RowRef, SeenRow, after_rules
from studio.core.recipe import DataPart, Drop, Repair

_WIDTH = 100


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options for findings, and for the rules that deal with them."""
    keys = (*KINDS, "typical", "unusual")
    parser.add_argument("--finding", choices=keys, metavar="KEY", help="show the rows of a finding")
    parser.add_argument(
        "--drop",
        action="append",
        choices=get_args(Drop),
        default=[],
        metavar="KEY",
        help=f"leave rows out as data.drop does; several times: {', '.join(get_args(Drop))}",
    )
    parser.add_argument(
        "--repair",
        action="append",
        choices=get_args(Repair),
        default=[],
        metavar="KEY",
        help=f"mend rows as data.repair does; several times: {', '.join(get_args(Repair))}",
    )
    parser.add_argument(
        "--group-by",
        default="",
        metavar="COLUMN",
        help="rows of equal values stay on one side of the split",
    )


def ruled(data: DataPart, options: argparse.Namespace) -> DataPart:
    """The settings with the rules that the options name."""
    return msgspec.structs.replace(
        data,
        drop=tuple(options.drop),
        repair=tuple(options.repair),
        group_by=options.group_by,
    )


def lines(report: DatasetReport, data: DataPart) -> Iterator[str]:
    """Figures, findings and what the rules leave."""
    if report.tokens:
        yield (
            f"Batches  {report.padding_share:.0%} padding; packed, rows would fill "
            f"{report.packing_share:.0%} of {data.max_length} tokens"
        )
    if report.languages:
        said = ", ".join(f"{one.name} {one.rows}" for one in report.languages)
        yield f"Spoken   {said} (rows that are surely so)"
    if report.eval_rows:
        train = report.kept_rows - report.eval_rows
        yield f"Split    {train} rows to train, {report.eval_rows} held out"
    if rules := after_rules(report.kept_rows, report.usable_rows, report.dropped, report.repaired):
        yield f"Rules    {rules}"
    for finding in report.findings:
        yield from _finding(finding, data)


def _finding(finding: Finding, data: DataPart) -> Iterator[str]:
    done = " (a rule deals with it)" if finding.handled(data) else ""
    yield f"{finding.severity}: {finding.text}{done}"
    ways = [f"--finding {finding.key}"]
    ways += [f"--drop {finding.drop}"] if finding.drop else []
    ways += [f"--repair {finding.repair}"] if finding.repair else []
    yield f"    {finding.fix} ({', '.join(ways)})"


def refs(report: DatasetReport, key: str) -> Sequence[RowRef]:
    """The rows that a finding names, or those that are typical or unusual."""
    if key in ("typical", "unusual"):
        return report.typical if key == "typical" else report.unusual
    for finding in report.findings:
        if finding.key == key:
            return finding.rows
    raise StudioError(
        "Nothing found",
        f"No row is among “{KINDS[key].title}”.",
        f"Found was: {', '.join(one.key for one in report.findings) or 'nothing'}.",
    )


def row_lines(rows: Sequence[SeenRow], several_files: bool) -> Iterator[str]:
    """Each row by its number, with the beginning of its texts."""
    for row in rows:
        place = (
            f"{row.place.file}, row {row.place.row}" if several_files else f"Row {row.place.row}"
        )
        yield place + (f": {row.place.note}" if row.place.note else "")
        if row.problem:
            yield f"    {row.problem}"
        for said in row.said:
            text = " ".join(said.text.split())
            shown = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
            yield f"    {said.role + ': ' if said.role else ''}{shown}"
