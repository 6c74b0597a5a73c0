"""dataset: what the dataset page shows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec

from studio.cli import findings, lens
from studio.cli.console import Console, problem_lines
from studio.cli.interrupts import watched
from studio.cli.numbers import whole
from studio.client import actions
from studio.client.preparer import Preparer
from studio.core.commands import Cancel
from studio.core.errors import StudioError
from studio.core.facts import DatasetPiece, DatasetReport
from studio.core.recipe import DataPart, DatasetPart, TrainOn
from studio.library import chat_templates
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
    _add_lens(one)
    findings.add(one)
    one.set_defaults(run=_dataset)


def _add_lens(one: argparse.ArgumentParser) -> None:
    """How rows become tokens, and which of them to show."""
    one.add_argument(
        "--template",
        default="",
        metavar="NAME",
        help=f"the chat template: {', '.join(chat_templates.MARKS)} or a .jinja file",
    )
    one.add_argument(
        "--system-prompt", default="", metavar="TEXT", help="for rows without a system message"
    )
    one.add_argument("--train-on", choices=get_args(TrainOn), help="which tokens are trained")
    one.add_argument(
        "--rows",
        type=_numbers,
        default=(),
        metavar="3,7",
        help="show these rows as tokens: trained, context and cut off",
    )
    one.add_argument("--ids", action="store_true", help="with --rows: each token's id behind it")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"“{text}” is not a list of row numbers such as 3,7")
    return numbers


def _mapping(text: str) -> tuple[str, str]:
    role, sign, column = text.partition("=")
    if not (role and sign and column):
        raise argparse.ArgumentTypeError(f"“{text}” is not ROLE=COLUMN")
    return role.strip(), column


def _dataset(home: Home, options: argparse.Namespace, console: Console) -> int:
    model = actions.model_folder(home, options.model) if options.model else None
    data = _data(options)
    if options.rows and model is None:
        raise StudioError(
            "No model", "Rows become tokens only with a model.", "Name one with --model."
        )
    with watched(Cancel, console.remark) as presses, Preparer(home) as preparer:
        parts = [_part(file, options) for file in options.file]
        if options.rows and model is not None:
            return _show(preparer, parts, model, data, options, console)
        report = preparer.inspect(
            parts,
            model,
            data,
            on_progress=console.progress,
            cancelled=presses.pressed,
        )
        if options.finding:
            rows = preparer.rows(parts, findings.refs(report, options.finding), console.progress)
            several = sum(part.files for part in report.parts) > 1
            shown = list(findings.row_lines(rows, several))
            console.result([msgspec.to_builtins(row) for row in rows], shown)
            return 0
    lines = [*_lines(report), *findings.lines(report, data), *problem_lines(report.problems)]
    console.result(msgspec.to_builtins(report), lines)
    return 1 if any(problem.severity == "error" for problem in report.problems) else 0


def _data(options: argparse.Namespace) -> DataPart:
    template = options.template
    if template.endswith(".jinja"):
        template = str(Path(template).expanduser().absolute())
    data = DataPart(template=template, system_prompt=options.system_prompt)
    if options.max_length:
        data = msgspec.structs.replace(data, max_length=options.max_length)
    if options.train_on:
        data = msgspec.structs.replace(data, train_on=options.train_on)
    return findings.ruled(data, options)


def _show(
    preparer: Preparer,
    parts: list[DatasetPart],
    model: Path,
    data: DataPart,
    options: argparse.Namespace,
    console: Console,
) -> int:
    """Rows as the model will see them; 1 where one of them can't be used."""
    found = preparer.examples(parts, model, data, options.rows, on_progress=console.progress)
    absent = sorted(set(options.rows) - {one.row for one in found})
    colour = lens.coloured()
    shown = [lens.legend(colour), "", *lens.lines(found, colour, options.ids)]
    shown += [f"There is no row {row}." for row in absent]
    console.result([msgspec.to_builtins(one) for one in found], shown)
    return 1 if absent or any(one.problem for one in found) else 0


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
    return lines + list(_tokens(report))


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
