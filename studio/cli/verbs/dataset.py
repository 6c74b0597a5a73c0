"""dataset: what the dataset page shows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from studio.cli.console import Console, problem_lines
from studio.cli.interrupts import watched
from studio.cli.numbers import whole
from studio.client import actions
from studio.client.preparer import Preparer
from studio.core.commands import Cancel
from studio.core.facts import DatasetPiece, DatasetReport
from studio.core.recipe import DataPart, DatasetPart
from studio.library.folders import Home

if TYPE_CHECKING:
    from studio.cli.verbs import Parsers

BARS = " ▁▂▃▄▅▆▇█"


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    """Add the parser of dataset."""
    about = "Recognise a dataset's format and look for what is wrong with its rows."
    one = parsers.add_parser(
        "dataset", parents=[shared], help="look at a dataset", description=about
    )
    one.add_argument(
        "file",
        metavar="FILE",
        nargs="+",
        help="a file, folder or archive, a dataset of the hub (organisation/name), or “sample”",
    )
    one.add_argument("--model", metavar="DIR", help="count tokens as this model makes them")
    one.add_argument("--max-length", type=whole(1), metavar="N", help="cut rows behind N tokens")
    one.add_argument("--config", metavar="NAME", help="which configuration of a dataset")
    one.add_argument("--split", metavar="NAME", help="which split of a dataset")
    one.add_argument("--revision", metavar="NAME", help="a branch, tag or commit of the hub")
    one.add_argument("--limit", type=whole(1), metavar="N", help="an even sample of N rows")
    one.add_argument(
        "--column",
        type=_mapping,
        action="append",
        default=[],
        metavar="ROLE=COLUMN",
        help="which column plays a role, such as prompt=question; several times",
    )
    one.set_defaults(run=_dataset)


def _mapping(text: str) -> tuple[str, str]:
    role, sign, column = text.partition("=")
    if not (role and sign and column):
        raise argparse.ArgumentTypeError(f"“{text}” is not ROLE=COLUMN")
    return role.strip(), column


def _dataset(home: Home, options: argparse.Namespace, console: Console) -> int:
    model = actions.model_folder(home, options.model) if options.model else None
    data = DataPart(max_length=options.max_length) if options.max_length else DataPart()
    with watched(Cancel, console.remark) as presses, Preparer(home) as preparer:
        report = preparer.inspect(
            [_part(file, options) for file in options.file],
            model,
            data,
            on_progress=console.progress,
            cancelled=presses.pressed,
        )
    console.result(msgspec.to_builtins(report), _lines(report))
    return 1 if any(problem.severity == "error" for problem in report.problems) else 0


def _part(path: str, options: argparse.Namespace) -> DatasetPart:
    return DatasetPart(
        path=path,
        columns=dict(options.column),
        config=options.config,
        split=options.split,
        revision=options.revision,
        limit=options.limit or 0,
    )


def _lines(report: DatasetReport) -> list[str]:
    lines = [
        *([f"File     {_file(report)}"] if report.kind else []),
        f"Format   {report.format or 'not recognised'} ({report.confidence:.0%} sure)"
        + (f": {report.reason}" if report.reason else ""),
        *([f"Learnt   {report.learnt}"] if report.learnt else []),
        *([f"Unused   {', '.join(report.unmapped)}"] if report.unmapped else []),
        *(
            f"Or else  {one.format} ({one.confidence:.0%} sure): {one.reason}"
            for one in report.alternatives
        ),
        f"Rows     {report.usable_rows} of {report.rows} usable"
        + (f", {report.passed_rows} passed over" if report.passed_rows else ""),
    ]
    if len(report.parts) > 1 or any(part.revision for part in report.parts):
        lines += [f"         {line}" for line in map(_piece, report.parts)]
    return lines + list(_tokens(report)) + problem_lines(report.problems)


def _file(report: DatasetReport) -> str:
    return report.kind + (f", {report.encoding}" if report.encoding else "")


def _piece(one: DatasetPiece) -> str:
    at = f" at {one.revision[:7]}" if one.revision else ""
    aside = f", {one.evaluation_rows} of them for evaluation" if one.evaluation_rows else ""
    return f"{one.path}{at}: {one.usable_rows} of {one.rows} rows{aside} ({one.format})"


def _tokens(report: DatasetReport) -> Iterator[str]:
    if report.tokens:
        yield f"Tokens   {report.tokens}, {report.trained_share:.0%} of them trained"
        yield (
            f"Length   {report.mean_tokens:.0f} tokens a row, {report.max_tokens} at most"
            + (f", {report.cut_rows} rows cut off" if report.cut_rows else "")
        )
    if any(report.histogram):
        top = max(report.histogram)
        drawn = "".join(BARS[-(-count * 8 // top)] for count in report.histogram)
        yield f"         {drawn}  ({report.bin_tokens} tokens a bar)"
