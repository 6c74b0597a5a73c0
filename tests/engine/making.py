"""Runs for the engine's tests: a folder with a recipe and prepared rows, worked on in-process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.ipc
from tokenizers import Tokenizer

from studio.core import commands, events
from studio.core.commands import AnyJob, Train
from studio.core.recipe import DatasetPart, LoraPart, ModelPart, Recipe, TrainingPart
from studio.engine.channel import Channel
from studio.engine.job import Context
from studio.library import jobs, runs
from studio.library.folders import Home, JobFolder

WORDS = ("coffee", "tea", "bread", "milk", "paper", "window", "river", "garden", "night", "rain")


def chats(count: int) -> list[tuple[str, str]]:
    """Questions whose answers follow from them, of different lengths."""
    made = []
    for number in range(count):
        first, second = WORDS[number % 10], WORDS[(number * 7 + number // 10) % 10]
        question = f"note {first} with {second} at {number % 12}" + " please" * (number % 5)
        made.append((question, json.dumps({"what": first, "with": second, "at": number % 12})))
    return made


def token_rows(model: Path, count: int) -> list[dict[str, list[int]]]:
    """Chats as the preparer leaves them: only the answer and its end are learnt."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    rows = []
    for question, answer in chats(count):
        asked = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        before = tokenizer.encode(asked, add_special_tokens=False).ids
        after = tokenizer.encode(f"{answer}<|im_end|>", add_special_tokens=False).ids
        rows.append({"input_ids": before + after, "labels": [-100] * len(before) + after})
    return rows


def write_rows(path: Path, rows: list[dict[str, list[int]]]) -> None:
    """Rows as an Arrow IPC file."""
    kind = pa.list_(pa.int32())
    table = pa.table(
        {name: pa.array([row[name] for row in rows], kind) for name in ("input_ids", "labels")}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def recipe(model: Path, method: str = "lora", **training: Any) -> Recipe:
    """A short run in float32 on a model folder."""
    settings: dict[str, Any] = {"dtype": "float32", "batch_size": 8, "learning_rate": 5e-3}
    return Recipe(
        model=ModelPart(path=str(model)),
        dataset=(DatasetPart(path="chats.jsonl"),),
        method=method,  # type: ignore[arg-type]
        lora=LoraPart(rank=8, alpha=16.0),
        training=TrainingPart(**settings | training),
    )


def padded(wanted: Recipe) -> Recipe:
    """The recipe with rows side by side, never packed."""
    return msgspec.structs.replace(wanted, data=msgspec.structs.replace(wanted.data, packing="no"))


def run_folder(home: Home, wanted: Recipe, train: int = 40, evaluate: int = 12) -> Path:
    """A run that is ready to be trained; the last rows are held out."""
    folder = runs.create(home, wanted)
    rows = token_rows(Path(wanted.model.path), train + evaluate)
    write_rows(folder / "data" / "train.arrow", rows[:train])
    if evaluate:
        write_rows(folder / "data" / "eval.arrow", rows[train:])
    return folder


def context_of(home: Home, folder: Path, job: AnyJob | None = None) -> Context:
    """What the entry of the engine would hand to the job."""
    return Context(home=home, folder=JobFolder(folder), job=job or Train(), channel=Channel(folder))


def said(folder: Path, kind: type[events.Event]) -> list[Any]:
    """All events of one kind in a job's log."""
    return [event for event in jobs.read_events(folder)[0] if isinstance(event, kind)]


def losses(folder: Path) -> list[float | None]:
    """The training loss of each step."""
    return [event.metrics["loss"] for event in said(folder, events.Step)]


def eval_losses(folder: Path) -> list[float | None]:
    """The loss on held-out rows of each evaluation."""
    return [event.metrics["loss"] for event in said(folder, events.Evaluated)]


class AfterStep(Channel):
    """A channel over which a command comes right after a step."""

    def __init__(self, folder: Path, step: int, command: commands.AnyCommand) -> None:
        super().__init__(folder)
        self._step, self._command = step, command

    def emit(self, event: events.AnyEvent) -> None:
        super().emit(event)
        if isinstance(event, events.Step) and event.step == self._step:
            jobs.tell(self.folder, self._command)


def told(context: Context, step: int, command: commands.AnyCommand) -> Context:
    """The context with a command that comes right after a step."""
    channel = AfterStep(context.folder.path, step, command)
    return Context(home=context.home, folder=context.folder, job=context.job, channel=channel)


def changed(wanted: Recipe, **training: Any) -> Recipe:
    """The recipe with other training settings."""
    part = msgspec.structs.replace(wanted.training, **training)
    return msgspec.structs.replace(wanted, training=part)
