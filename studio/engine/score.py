"""Held-out rows answered by the bare model and with the adapter: how many are exactly right."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.core.commands import Cancel, Score, Stop
from studio.core.errors import StudioError
from studio.core.events import Cancelled, Finished, Started
from studio.engine import precision
from studio.engine.conversation import BARE, Speaker
from studio.engine.generate import decode, greedy, prompt_ids, stop_tokens
from studio.engine.job import Context
from studio.engine.load import load_model, load_tokenizer

BATCH_ROWS = 32
SPARE_TOKENS = 8
LONGEST_ANSWER = 512
EXAMPLES = 5
STAGE_SECONDS = 0.2


class _Stopped(Exception):
    """The user wants no score after all."""


@dataclass(frozen=True)
class Row:
    """One held-out row: the conversation up to the answer, and the answer wanted."""

    messages: list[dict[str, str]]
    wanted: str


def run(context: Context) -> None:
    """Score the model of this job's folder, and the adapter on it where one is named."""
    job = context.job
    assert isinstance(job, Score)
    try:
        result = score(job, context)
    except _Stopped:
        context.channel.emit(Cancelled())
        return
    context.channel.emit(Finished(result=result))


def score(job: Score, context: Context) -> dict[str, Any]:
    """The result: shares of exact answers before and after, rows, a few examples.

    Without an adapter `metric_after` is None. Raises StudioError for unusable rows.
    """
    context.channel.stage("Looking at the machine")
    folder, device = Path(job.model), precision.best_device()
    chosen = precision.decide("auto", device)
    decided = {"device": str(device), "dtype": chosen.name}
    context.channel.emit(Started(pid=os.getpid(), decided=decided))
    context.channel.stage("Loading the model")
    model = load_model(folder, chosen.dtype, device=device)
    speaker = Speaker(folder, model, load_tokenizer(folder), fold=False)
    rows = read_rows(Path(job.rows), job.limit)
    sides = [BARE]
    if job.adapter:
        speaker.load(job.adapter)
        sides.append(job.adapter)
    answers = [_answers(speaker, side, rows, _Teller(context, side)) for side in sides]
    return _result(rows, answers)


def read_rows(file: Path, limit: int) -> list[Row]:
    """Chat rows whose last message is the answer wanted; the first `limit` of them, 0 for all."""
    rows: list[Row] = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, f"it can't be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        if line.strip() and not (limit and len(rows) >= limit):
            rows.append(_row(file, number, line))
    if not rows:
        raise _unusable(file, "it has no rows")
    return rows


def same(wanted: str, answer: str) -> bool:
    """Whether an answer is right: the same JSON value where both are JSON, else the same text."""
    try:
        return bool(json.loads(wanted) == json.loads(answer))
    except ValueError:
        return wanted.strip() == answer.strip()


class _Teller:
    """Tells how far one side is, and hears when to stop."""

    def __init__(self, context: Context, side: str) -> None:
        self._channel = context.channel
        self._first = side == BARE
        self._whole = 2 if context.job.adapter else 1  # type: ignore[union-attr]
        self._text = (
            "Answering with the bare model" if self._first else "Answering with the adapter"
        )
        self._told = 0.0

    def listen(self) -> None:
        """Raises _Stopped when the user cancelled."""
        if any(isinstance(command, Cancel | Stop) for command in self._channel.commands()):
            raise _Stopped

    def say(self, share: float) -> None:
        """The share of this side's rows that are answered."""
        self.listen()
        if share < 1 and time.monotonic() - self._told < STAGE_SECONDS:
            return
        self._told = time.monotonic()
        before = 0 if self._first else 1
        self._channel.stage(self._text, (before + share) / self._whole)


def _answers(speaker: Speaker, side: str, rows: Sequence[Row], teller: _Teller) -> list[str]:
    """One answer a row, rows of like length together so that little is padding."""
    template = speaker.template(side)
    prompts = [prompt_ids(speaker.tokenizer, row.messages, template) for row in rows]
    stop = stop_tokens(speaker.base, speaker.tokenizer, template)
    order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
    room = _room(speaker, rows)
    answers = [""] * len(rows)
    teller.say(0.0)
    with speaker.speaking(side) as model:
        for begin in range(0, len(order), BATCH_ROWS):
            batch = order[begin : begin + BATCH_ROWS]
            told = greedy(model, [prompts[i] for i in batch], stop, room, teller.listen)
            for index, ids in zip(batch, told, strict=True):
                answers[index] = decode(speaker.tokenizer, ids)
            teller.say((begin + len(batch)) / len(order))
    return answers


def _room(speaker: Speaker, rows: Sequence[Row]) -> int:
    """Tokens that an exact answer can need: a longer one is wrong anyway."""
    longest = max(len(speaker.tokenizer(row.wanted)["input_ids"]) for row in rows)
    return min(longest + SPARE_TOKENS, LONGEST_ANSWER)


def _result(rows: Sequence[Row], answers: list[list[str]]) -> dict[str, Any]:
    shares: list[float | None] = [
        sum(same(row.wanted, text) for row, text in zip(rows, told, strict=True)) / len(rows)
        for told in answers
    ]
    after = answers[1] if len(answers) > 1 else None
    return {
        "metric_before": shares[0],
        "metric_after": shares[1] if after else None,
        "rows": len(rows),
        "examples": [
            {
                "prompt": rows[i].messages[-1]["content"],
                "wanted": rows[i].wanted,
                "before": answers[0][i],
                "after": after[i] if after else None,
            }
            for i in range(min(EXAMPLES, len(rows)))
        ],
    }


def _row(file: Path, number: int, line: str) -> Row:
    try:
        messages = json.loads(line)["messages"]
        plain = [{"role": str(m["role"]), "content": str(m["content"])} for m in messages]
        if len(plain) < 2 or plain[-1]["role"] != "assistant":
            raise ValueError("the last message is not an assistant's")
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(file, f"line {number} is no chat row ({error})") from error
    return Row(plain[:-1], plain[-1]["content"])


def _unusable(file: Path, why: str) -> StudioError:
    return StudioError(
        "Held-out rows can't be used",
        f"{file.name} can't be scored: {why}.",
        "Use a jsonl file of chat rows (messages) whose last message is the answer wanted.",
    )
