"""An estimate in JSON, and as a table with bars for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from studio.cli.console import size
from studio.cli.progress import duration
from studio.cli.wishes import METHODS
from studio.client.actions import Estimated
from studio.core.autofit import Fitted
from studio.core.costs import Costs
from studio.core.memory import BREAKDOWN, Estimate
from studio.core.part_words import PART_WORDS
from studio.core.recipe import Recipe, short

WIDTH = 28
VERDICTS = {
    "fits": "It fits.",
    "tight": "It is tight: it may not fit.",
    "too big": "It is too big.",
    "unknown": "Whether it fits can't be said.",
}


def plain(found: Estimated, fitted: Fitted | None = None) -> dict[str, Any]:
    """The estimate as JSON has it, and what makes it fit."""
    result: dict[str, Any] = msgspec.to_builtins(found.estimate)
    result |= {"ratio": found.ratio, "costs": msgspec.to_builtins(found.costs)}
    if fitted is None:
        return result
    changes = msgspec.to_builtins(fitted.changes)
    inside = {"fits": fitted.fits, "changes": changes, "recipe": short(fitted.recipe)}
    return result | {"fitted": inside | {"estimate": msgspec.to_builtins(fitted.estimate)}}


def fitted_lines(fitted: Fitted | None, written: Path | None) -> list[str]:
    """The changes that make it fit, each with what it saves and costs."""
    if fitted is None:
        return []
    if fitted.fits and not fitted.changes:
        return ["Nothing has to be changed."]
    told = [f"  {change.text}: {_difference(change.saves_bytes)}. {change.costs}"
            for change in fitted.changes]  # fmt: skip
    needed = size(fitted.estimate.needed_bytes)
    end = (
        f"Then it fits, with {needed} needed."
        if fitted.fits
        else (f"Even then it doesn't fit: {needed} are needed. Choose a smaller model.")
    )
    where = [f"Written to {written}."] if written else []
    head = "What makes it fit:" if fitted.fits else "What helps most:"
    if fitted.fits and any(change.saves_bytes < 0 for change in fitted.changes):
        head, end = "What the room could be used for:", f"Then {needed} are needed."
    return [head, *told, end, *where]


def _difference(saves: int) -> str:
    return f"{size(saves)} less" if saves >= 0 else f"{size(-saves)} more"


def lines(found: Estimated) -> list[str]:
    """The estimate for people."""
    one = found.estimate
    if not one.expected_bytes:
        return [*one.advice, VERDICTS[one.verdict]]
    return [
        _head(found),
        *_parts(one),
        *_totals(one),
        *_basis(found),
        *_verdict(one),
        *_costs(found.costs),
    ]


def measured_lines(measured: dict[str, Any] | None) -> list[str]:
    """What was measured, beside what had been expected."""
    if measured is None:
        return []
    expected, parts = measured["expected_parts"], measured["parts"]
    names = [
        name for name in (*BREAKDOWN, "allocated", "slack") if expected.get(name) or name in parts
    ]
    rows = [
        f"  {title(name):<21} {_count(parts.get(name)):>10} {_count(expected.get(name)):>10}"
        for name in names
    ]
    ratio, peak = measured["ratio"], measured["peak_bytes"]
    again = " The next estimate here takes that into account." if measured["kept"] else ""
    return [
        "",
        f"  {'Measured':<21} {'measured':>10} {'expected':>10}",
        *rows,
        f"  {'peak':<21} {size(peak):>10} {_count(measured['expected_bytes']):>10}",
        f"Measured: {size(peak)} at the peak, while {_phase(measured)}"
        f"{f', {ratio:.2f} times what was expected' if ratio else ''}.{again}",
        f"A step of {measured['tokens']} tokens took {_seconds(measured['seconds'])} "
        f"({measured['tokens_per_second']:.0f} tokens/s).",
        *_rescued(measured),
    ]


def title(part: str) -> str:
    """A part's name for people."""
    words = PART_WORDS.get(part)
    return words.title.lower() if words else part


def _head(found: Estimated) -> str:
    recipe, assumed = found.recipe, found.estimate.assumed
    device = ", ".join(found.estimate.devices)
    rows = f"{assumed['micro_batch']} x {assumed['length']} tokens at once"
    again = ", activations recomputed" if assumed["gradient_checkpointing"] == "yes" else ""
    again += ", in system memory" if "offload_activations" in assumed else ""
    again += ", updated in the backward pass" if "optimizer_in_backward" in assumed else ""
    what = f"{_method(recipe)}, {rows}, {assumed['computes_in_bits']} bit, {assumed['attention']}"
    return f"Estimate{f' for {device}' if device else ''}: {what}{again}"


def _method(recipe: Recipe) -> str:
    rank = "" if recipe.method == "full" else f" of rank {recipe.lora.rank}"
    return f"{METHODS[recipe.method]}{rank}"


def _parts(one: Estimate) -> list[str]:
    whole = max(1, one.expected_bytes)
    shown = [(name, one.parts.get(name, 0)) for name in (*BREAKDOWN, "slack")]
    return [_line(title(name), count, _bar(count / whole)) for name, count in shown if count]


def _totals(one: Estimate) -> list[str]:
    found = [
        _line("expected", one.expected_bytes),
        _line("at most", one.upper_bytes),
        _line(title("context"), one.parts.get("context", 0)),
        _line("needed", one.needed_bytes),
    ]
    return [*found, _line("free", one.available_bytes)] if one.verdict != "unknown" else found


def _line(name: str, count: int, bar: str = "") -> str:
    return f"  {name:<21} {size(count):>10}  {bar}".rstrip()


def _bar(share: float) -> str:
    return "█" * round(share * WIDTH) or "▏"


def _basis(found: Estimated) -> list[str]:
    if found.ratio == 1.0:
        return []
    return [
        f"Corrected by what was measured on this machine: {found.ratio:.2f} times the arithmetic."
    ]


def _costs(costs: Costs) -> list[str]:
    """Time, disk, system memory and download, as far as they are known."""
    told = []
    if costs.total_seconds is not None:
        least, most = duration(costs.low_seconds or 0), duration(costs.high_seconds or 0)
        told.append(f"Time      {duration(costs.total_seconds)} (between {least} and {most})")
    elif costs.steps is not None:
        told.append(f"Time      {costs.steps} steps; measure it to see how long they take")
    if costs.disk_bytes:
        told.append(f"Disk      {size(costs.disk_bytes)} at most, checkpoints and result")
    if costs.ram_load_bytes:
        told.append(f"Memory    {size(costs.ram_load_bytes)} of the system's to load the model")
    if costs.ram_offload_bytes:
        told.append(f"Memory    {size(costs.ram_offload_bytes)} of it to train, activations there")
    if costs.download_bytes:
        told.append(f"Download  {size(costs.download_bytes)}")
    return told


def _verdict(one: Estimate) -> list[str]:
    if one.verdict == "unknown":
        return [VERDICTS["unknown"], "Name a card with --gpu-gb or --card.", *one.advice]
    return [VERDICTS[one.verdict], *(f"  {text}" for text in one.advice)]


def _phase(measured: dict[str, Any]) -> str:
    names = {
        "load": "loading",
        "forward": "going forward",
        "backward": "going backward",
        "optimizer": "updating the weights",
        "evaluation": "evaluating",
        "save": "saving",
    }
    return names.get(measured["peak_phase"], "training")


def _rescued(measured: dict[str, Any]) -> list[str]:
    if not measured["rescued"]:
        return []
    rows = measured["micro_batch_size"]
    return [f"Memory ran out at first; it fits with {rows} row{'s' * (rows != 1)} at a time."]


def _count(count: int | None) -> str:
    return size(count) if count else "–"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)
