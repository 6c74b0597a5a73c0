"""Which figures honest exports have, and which exports that lost or bent their training: what the
tolerances of studio/core/passport.py are chosen from.

    python -m tests.benchmarks.passports
    python -m tests.benchmarks.passports --home DIR --adapter NAME … --out table.jsonl
                                         [--kind Q4_K_M …] [--case honest …]

Each adapter of the home is exported as each kind, as it is and spoiled: with its alpha halved and
doubled, without it, with another adapter in its place. Each export is heard in its own runtime over
1,000 places and more, and its figures go to the table as a line; what stands there is passed over.
Without a home the table is printed, with what the tolerances as they are make of each line. The
one in tests/fixtures was measured on the starter model with four adapters: two that learnt orders
into JSON (quickstart's, of 53 steps, and one of 10), two that learnt what Python's functions do
(tests/support/python_docs.py, rows of up to 128 tokens, batches of 8, learning rate 4e-4; 80 steps
of LoRA, 60 of QLoRA).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch

from studio.core import exporting
from studio.core import passport as core
from studio.core.commands import Export
from studio.engine import base_choice, passport
from studio.engine.export import Exporter, Wanted, prepare
from studio.engine.passport import cause, live
from studio.engine.passport.live import Live, Reference
from studio.library import adapters
from studio.library.folders import Home
from tests.support.passport_table import HONEST, TABLE, Line, failing, read

KINDS = {
    **dict.fromkeys(("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0"), "gguf"),
    **{"bfloat16": "safetensors", "int4": "onnx", "NF4": "nf4", "beside NF4": "nf4-adapter"},
}
STRENGTHS = {"alpha 1/2": 0.5, "alpha 2": 2.0, "no training": 0.0}
CASES = (HONEST, *STRENGTHS, "another's")
TIES = (0.0, 0.03, 0.1, 0.25)


def main() -> None:
    """Measure what the table lacks, then print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--adapter", nargs="+", default=[])
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--out", "--table", dest="table", type=Path, default=TABLE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = read(options.table)
    if options.home:
        done = {(line.adapter, line.kind, line.case) for line in known}
        home = Home(options.home)
        for name in options.adapter:
            todo = [(k, c) for k in options.kind for c in options.case if (name, k, c) not in done]
            for line in Bench(home, name).lines(todo):
                known.append(line)
                with options.table.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(msgspec.to_builtins(line)) + "\n")
    show(known)


class Bench:
    """One adapter, and what its live model said, asked once for each base that exports have."""

    def __init__(self, home: Home, name: str) -> None:
        self._home, self._name = home, name
        self._adapter = home.adapters / name
        base = adapters.base_of(home, adapters.facts(self._adapter))
        self._base = base
        self._rows = base_choice.rows_of(home, adapters.facts(self._adapter).run)
        self._asked: dict[tuple[object, ...], Reference] = {}

    def lines(self, todo: list[tuple[str, str]]) -> Iterator[Line]:
        """What each export comes to, by kind and case."""
        for kind, case in todo:
            begin = time.monotonic()
            print(f"{self._name}, {kind}, {case}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as place:
                yield self._line(kind, case, Path(place), begin)

    def _line(self, kind: str, case: str, place: Path, begin: float) -> Line:
        honest = self._exporter(kind, self._adapter, place / "export")
        spoiled = self._exporter(kind, self._spoiled(case, place), place / "export")
        assert honest.live is not None
        asked = self._ask(honest.live)
        (place / "export").mkdir()
        spoiled.write(place / "export", lambda share: None)
        heard = passport.hear(asked, lambda: spoiled.open(place / "export"), lambda: None)
        found = passport.judge(asked, heard, honest.precision, honest.live)
        strength, nearer = cause.nearest(asked, heard.told)
        return Line(
            adapter=self._name,
            kind=kind,
            case=case,
            precision=honest.precision,
            rounded=honest.live.rounded,
            positions=found.positions,
            agreement={f"{t:g}": float((heard.behind <= t).float().mean()) for t in TIES},
            kl=found.kl,
            kl_bare=found.kl_without_adapter,
            greedy=found.greedy,
            nearer=nearer,
            strength=strength,
            loss=found.loss,
            loss_live=found.loss_live,
            loss_trained=found.loss_trained,
            loss_bare=found.loss_bare,
            seconds=round(time.monotonic() - begin, 1),
        )

    def _exporter(self, kind: str, adapter: Path, out: Path) -> Exporter:
        format = exporting.find(KINDS[kind])
        named = kind if format.quantizations else ""
        job = Export(
            format=format.id, out=str(out), model=str(self._base), adapter=str(adapter),
            quantization=named, onto="original", dtype="auto",
        )  # fmt: skip
        return prepare(
            Wanted(
                home=self._home, job=job, format=format,
                quantization=exporting.quantization(format, named), model=self._base,
                adapter=adapter, name="export", note=lambda text: None, tick=lambda share: None,
            )
        )  # fmt: skip

    def _spoiled(self, case: str, place: Path) -> Path:
        if case == HONEST:
            return self._adapter
        if case == "another's":
            others = (each for each in sorted(self._home.adapters.iterdir()))
            return next(each for each in others if each.name != self._name)
        changed = Path(shutil.copytree(self._adapter, place / "spoiled"))
        config = changed / "adapter_config.json"
        content = json.loads(config.read_text("utf-8"))
        content["lora_alpha"] *= STRENGTHS[case]
        config.write_text(json.dumps(content), "utf-8")
        return changed

    def _ask(self, reference: Live) -> Reference:
        key = (reference.dtype, reference.held is None, reference.trained is None)
        if key not in self._asked:
            self._asked = {key: live.ask(reference, self._rows, False, lambda text, share: None)}
        return self._asked[key]


def show(lines: list[Line]) -> None:
    """Every export, the kinds in their order, with the checks that fail it now."""
    order = {kind: place for place, kind in enumerate(KINDS)}
    head = ("kind", "adapter", "export", "top-1", "agree", "KL", "bare", "greedy", "nearer")
    rows = [(*head, "loss", "trained", "kept", "fails now")]
    for line in sorted(lines, key=lambda each: (order[each.kind], each.case, each.adapter)):
        near = line.near(core.TOLERANCES[line.precision].tie)
        rows.append(
            (
                line.kind, line.adapter, line.case, f"{line.agreement['0']:.3f}", f"{near:.3f}",
                f"{line.kl:.2g}", f"{line.kl_bare or 0:.2g}", f"{line.greedy:.2f}",
                f"{line.nearer:.2f}", f"{line.loss:.3f}", f"{line.loss_trained:.3f}",
                f"{line.kept:.3f}", ", ".join(failing(line)) or "-",
            )
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
