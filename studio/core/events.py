"""What an engine may say; one encoding for the log on disk and for the wire."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=_tag):
    """One line of a job's events.jsonl. `time` is seconds since the epoch."""

    time: float = 0.0


class Created(Event, frozen=True, kw_only=True):
    """The job's folder stands; written by whoever created it, and again when a newer studio takes
    it up. `format` is that of the folder (core/upgrades.py); from before it was written it is 1."""

    kind: str
    format: int = 1


class Started(Event, frozen=True, kw_only=True):
    """An engine took the job up. `decided` is what this machine decided: dtype, device, threads,
    micro_batch_size, gradient_accumulation, packing, gradient_checkpointing, learning_rate."""

    pid: int
    total_steps: int = 0
    epochs: float = 0.0
    decided: dict[str, Any] = {}
    resumed_from: int = 0


class Stage(Event, frozen=True, kw_only=True):
    """What the job is doing now, in words, with a share of 1 where that is known."""

    text: str
    share: float | None = None


class Step(Event, frozen=True, kw_only=True):
    """One optimizer step. metrics: loss, learning_rate, grad_norm, tokens_per_second,
    memory_bytes (the engine's), vram_bytes where there is a card. `tokens` is the running sum
    of real tokens, `seconds` the running training time, `epoch` a fraction of an epoch."""

    step: int
    metrics: dict[str, float | None]
    tokens: int
    seconds: float
    epoch: float = 0.0


class Evaluated(Event, frozen=True, kw_only=True):
    """Loss on the held-out split after `step` steps; `best` says whether it is the lowest."""

    step: int
    metrics: dict[str, float | None]
    best: bool = False


class Sampled(Event, frozen=True, kw_only=True):
    """What the model in training answers to a fixed prompt."""

    step: int
    prompt: str
    text: str


class Saved(Event, frozen=True, kw_only=True):
    """A checkpoint is whole on disk."""

    step: int
    path: str
    bytes: int = 0
    seconds: float = 0.0


class Note(Event, frozen=True, kw_only=True):
    """Something worth a line: severity is info, warning or error."""

    text: str
    severity: str = "info"


class TokenText(Event, frozen=True, kw_only=True):
    """More text of one answer. `side` tells the answers to one request apart."""

    request: str
    text: str
    side: int = 0


class Answered(Event, frozen=True, kw_only=True):
    """One answer is complete. `stopped` says that the user cut it off.

    `tokens_per_second` is the speed from the first token on. Of `prompt_tokens`, `reused_tokens`
    were known from earlier turns; reading the others took `first_token_seconds`. `context_length`
    is how many tokens prompt and answer may have together, 0 where that isn't known.
    """

    request: str
    text: str
    tokens: int
    tokens_per_second: float
    side: int = 0
    stopped: bool = False
    prompt_tokens: int = 0
    reused_tokens: int = 0
    first_token_seconds: float = 0.0
    context_length: int = 0


class Ready(Event, frozen=True, kw_only=True):
    """A conversation is loaded and waits for requests; or it swapped its adapters.

    `own_bytes` says of each adapter what its folded weights take; 0 for one that is added at every
    layer instead, which is slower. `base_bytes` are the base's.
    """

    model: str = ""
    adapters: tuple[str, ...] = ()
    own_bytes: dict[str, int] = {}
    base_bytes: int = 0


class Serving(Event, frozen=True, kw_only=True):
    """A server answers at `address`, which programs call their base URL, by these model names, the
    bare base's first. So many requests came, and so many are being answered."""

    address: str
    models: tuple[str, ...]
    requests: int = 0
    active: int = 0


class Refused(Event, frozen=True, kw_only=True):
    """One request inside a conversation failed; the conversation goes on."""

    request: str
    title: str
    text: str
    fix: str = ""


class Rescued(Event, frozen=True, kw_only=True):
    """Memory ran out while doing `where` (a word for people: a step, the evaluation, saving); the
    run is back behind `step` whole steps and goes on with smaller micro-batches."""

    step: int
    where: str
    micro_batch_size: int
    gradient_accumulation: int


class RolledBack(Event, frozen=True, kw_only=True):
    """Training went wrong at step `step`, as `text` says; the run is back at the checkpoint of
    `to_step` and what came after it no longer counts."""

    step: int
    to_step: int
    text: str


class Paused(Event, frozen=True, kw_only=True):
    """Saved and left; the same job may be taken up again. `reason` is empty where the user asked
    for it, else why the studio did: core/guard.py's reasons, or "disk"."""

    checkpoint: str
    step: int
    reason: str = ""


class Finished(Event, frozen=True, kw_only=True):
    """The job's end as wished. `result` is what the command line prints as the result.
    For a run that the user stopped and kept, `stopped` is true."""

    result: dict[str, Any]
    stopped: bool = False


class Cancelled(Event, frozen=True, kw_only=True):
    """The user ended it and nothing of it was kept."""


class Failed(Event, frozen=True, kw_only=True):
    """The job's end by an error that the engine could name."""

    title: str
    text: str
    fix: str = ""
    fault: bool = False


class Ended(Event, frozen=True, kw_only=True):
    """Written by the keeper when the engine's process is gone. `code` as a process
    gives it (negative: the signal). Where the engine itself left no word of its end, title, text
    and fix say what happened."""

    code: int | None = None
    title: str = ""
    text: str = ""
    fix: str = ""


AnyEvent = (
    Created
    | Started
    | Stage
    | Step
    | Evaluated
    | Sampled
    | Saved
    | Note
    | TokenText
    | Answered
    | Ready
    | Serving
    | Refused
    | Rescued
    | RolledBack
    | Paused
    | Finished
    | Cancelled
    | Failed
    | Ended
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def finite(value: float) -> float | None:
    """JSON knows no NaN: what isn't finite is `None` on the wire and on disk."""
    return value if math.isfinite(value) else None


def encode(event: AnyEvent) -> bytes:
    """One line without its newline."""
    return _encoder.encode(event)


def decode(line: bytes | str) -> AnyEvent:
    """The event of a line; a line that can't be read becomes a `Note`, never an error."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Note(text=f"A line of the event log can't be read: {error}.", severity="warning")


def names() -> tuple[str, ...]:
    """The tags of all events."""
    return tuple(kind.__struct_config__.tag for kind in get_args(AnyEvent))
