"""Model cards: what an export is, where it comes from, how to use it, how it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.core import passport as core
from studio.core.passport import Passport
from studio.library import adapters
from studio.library.adapters import AdapterFacts
from studio.library.files import write_whole
from studio.library.models import inspect

CARD = "README.md"


def write(
    folder: Path, *, name: str, model: Path, adapter: Path | None, what: str,
    usage: Sequence[str], language: str = "python", front: Sequence[str] = (),
    library: str = "transformers",
) -> None:  # fmt: skip
    """A card that names no path and no row: `what` is one sentence on the export, `usage` code
    lines, `front` more of the lines that the hub reads."""
    licence = inspect(model).licence
    head = ["---", *([f"license: {licence}"] if licence else []), f"library_name: {library}"]
    head += ["pipeline_tag: text-generation", *front, "---"]
    known = adapters.facts(adapter) if adapter else None
    parts = [
        "\n".join(head), f"# {name}", f"{what} Made with Finetune Studio.",
        *([training(known, model.name)] if known else []),
        "\n".join([f"```{language}", *usage, "```"]),
        "The base's licence applies." + (f" It is {licence}." if licence else ""),
    ]  # fmt: skip
    write_whole(folder / CARD, "\n\n".join(parts) + "\n")


def training(known: AdapterFacts, base: str) -> str:
    """What an adapter was trained on and how, as a table; names alone, never paths."""
    losses = [
        f"{value:.4f} ({what})"
        for value, what in ((known.train_loss, "training"), (known.eval_loss, "held-out rows"))
        if value is not None
    ]
    lines = [
        ("Adapter", known.name),
        ("Base", known.base_name or base),
        ("Method", known.method),
        ("Rank, alpha", f"{known.rank}, {known.alpha:g}"),
        ("Dataset", known.dataset.replace("\\", "/").rstrip("/").rpartition("/")[2]),
        ("Loss", ", ".join(losses)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in lines if b)])


def add_passport(folder: Path, checked: Passport) -> None:
    """Say on the card how the export was judged; a failing one is marked above all else."""
    card = folder / CARD
    text = card.read_text("utf-8") if card.is_file() else f"# {folder.name}\n"
    if checked.grade == "fail":
        text = _warned(text, checked)
    write_whole(card, text.rstrip("\n") + "\n\n" + _section(checked) + "\n")


def _warned(text: str, checked: Passport) -> str:
    """The warning stands below the title."""
    words = " ".join(f"{reason.text} {reason.fix}" for reason in core.reasons(checked))
    warning = f"> **This export failed its check.** {words}"
    before, mark, title = text.partition("\n# ")
    if not mark:
        return f"{warning}\n\n{text}"
    line, _, rest = title.partition("\n")
    return f"{before}{mark}{line}\n\n{warning}\n{rest}"


def _section(checked: Passport) -> str:
    rows = [
        ("Check", "passed" if checked.grade == "pass" else "failed"),
        ("Runtime", f"{checked.runtime}, {checked.precision}"),
        ("Compared", f"{checked.positions:,} tokens of answers to {checked.prompts} prompts"),
        ("Same likeliest token", f"{checked.top1:.2%}"),
        (_divergence_name(checked), f"{checked.kl:.2g} nats a token"),
        ("The same without the adapter", _nats(checked.kl_without_adapter)),
        ("Held-out loss of the export", _loss(checked.loss) or core.no_loss(checked)),
        ("Held-out loss as trained", _loss(checked.loss_trained)),
        ("Held-out loss of the bare base", _loss(checked.loss_bare)),
    ]
    return "\n".join(
        ["## Passport", "", "| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows if b)]
    )


def _divergence_name(checked: Passport) -> str:
    over = f", over the {checked.kl_over} likeliest tokens" if checked.kl_over else ""
    return f"KL divergence from the live model{over}"


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.2g} nats a token"


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
