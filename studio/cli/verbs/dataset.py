"""dataset: what the dataset page shows."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from studio.cli.console import Console, problem_lines
from studio.cli.numbers import whole
from studio.client import actions
from studio.client.preparer import Preparer
from studio.core.facts import DatasetReport
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
    one.add_argument("file", metavar="FILE", help="a file or folder, or “sample”")
    one.add_argument("--model", metavar="DIR", help="count tokens as this model makes them")
    one.add_argument("--max-length", type=whole(1), metavar="N", help="cut rows behind N tokens")
    one.set_defaults(run=_dataset)


def _dataset(home: Home, options: argparse.Namespace, console: Console) -> int:
    model = actions.model_folder(home, options.model) if options.model else None
    data = DataPart(max_length=options.max_length) if options.max_length else DataPart()
    with Preparer(home) as preparer:
        report = preparer.inspect(
            (DatasetPart(path=options.file),), model, data, on_progress=console.progress
        )
    console.result(msgspec.to_builtins(report), _lines(report))
    return 1 if any(problem.severity == "error" for problem in report.problems) else 0


def _lines(report: DatasetReport) -> list[str]:
    lines = [
        f"Format   {report.format or 'not recognised'} ({report.confidence:.0%} sure)"
        + (f": {report.reason}" if report.reason else ""),
        f"Rows     {report.usable_rows} of {report.rows} usable",
    ]
    if report.tokens:
        lines += [
            f"Tokens   {report.tokens}, {report.trained_share:.0%} of them trained",
            f"Length   {report.mean_tokens:.0f} tokens a row, {report.max_tokens} at most"
            + (f", {report.cut_rows} rows cut off" if report.cut_rows else ""),
        ]
    if any(report.histogram):
        top = max(report.histogram)
        drawn = "".join(BARS[-(-count * 8 // top)] for count in report.histogram)
        lines.append(f"         {drawn}  ({report.bin_tokens} tokens a bar)")
    return lines + problem_lines(report.problems)
