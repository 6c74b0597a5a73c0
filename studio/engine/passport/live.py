"""The live model that an export is judged by, and all that is asked of it before it makes room."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from peft.helpers import rescale_adapter_scale
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedTokenizerBase

from studio.core import passport as core
from studio.engine import data, ends, quantized_base
from studio.engine.beside import attach
from studio.engine.conversation import Speaker
from studio.engine.generate import greedy, stop_tokens
from studio.engine.load import load_model, load_tokenizer
from studio.engine.passport.measures import divergence
from studio.engine.passport.questions import conversations
from studio.engine.precision import best_device
from studio.engine.runtimes import Messages, Row, Tick, Told
from studio.engine.runtimes.of_transformers import OfTransformers
from studio.engine.streaming_merge import Quantize

ANSWER_TOKENS, QUICK_ANSWER_TOKENS = 48, 16
HELD_POSITIONS = 700
"""Of held-out answers that are compared; the rest of a full check are the model's own answers."""
SAMPLED_ROUNDS, TEMPERATURE, SEED = 8, 0.9, 7
PROBES = 16
STRENGTHS = (0.0, 0.5, 2.0)
"""Other weights of the adapter at which the live model is asked: an export may not be nearer to
one of these than to the adapter as it was trained."""
STRENGTH_PLACES = 120

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Live:
    """A model folder with an adapter, or alone. `held` turns the base's weights into those that the
    export was built from, `trained` into those that the adapter learnt on, where these were others.
    `rounded` names the tolerances of held-out loss, where the base lost more than the export did.
    """

    model: Path
    adapter: Path | None
    dtype: torch.dtype
    held: Quantize | None = None
    trained: Callable[[str, torch.Tensor], torch.Tensor] | None = None
    rounded: str = ""

    @contextlib.contextmanager
    def loaded(self) -> Iterator[OfTransformers]:
        """The model in memory, for as long as the block lasts."""
        tokenizer = load_tokenizer(self.model, Speaker.template(str(self.adapter or "")))
        model: Any = load_model(self.model, self.dtype, device=best_device())
        if self.held:
            quantized_base.put(model, self.held)
        runtime = OfTransformers(attach(model, self.adapter) if self.adapter else model, tokenizer)
        del model
        try:
            yield runtime
        finally:
            runtime.close()


@dataclass(frozen=True)
class Prompt:
    """A conversation, as text and as ids, and the live model's likeliest answer to it."""

    messages: Messages
    text: str
    ids: list[int]
    answer: list[int] = field(default_factory=list)


@dataclass
class Reference:
    """What the live model said. Rows `[: held]` are held-out ones; `probes` ask after one token.
    `otherwise` is what it says on the first rows with its adapter at another strength."""

    prompts: list[Prompt]
    texts: list[tuple[str, list[int]]]
    bos: int | None
    ends: frozenset[int]
    tokenizer: PreTrainedTokenizerBase
    held: int = 0
    rows: list[Row] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    probes: list[Row] = field(default_factory=list)
    probed: list[Told] = field(default_factory=list)
    otherwise: dict[float, list[Told]] = field(default_factory=dict)
    kl_bare: float | None = None
    loss_bare: float | None = None
    loss_trained: float | None = None

    @property
    def positions(self) -> int:
        """Places that are compared."""
        return sum(len(row.places) for row in self.rows)


def ask(live: Live, held_out: Sequence[data.Row], quick: bool, progress: Progress) -> Reference:
    """Everything that the live model, its base alone and the model as trained have to say."""
    wanted = core.QUICK_POSITIONS if quick else core.POSITIONS
    with live.loaded() as runtime:
        progress("Checking: the live model answers", 0.05)
        found = _reference(runtime, held_out, wanted)
        most = QUICK_ANSWER_TOKENS if quick else ANSWER_TOKENS
        _add_answers(
            found, runtime, wanted, most, lambda: progress("Checking: the live model answers", 0.1)
        )
        tick = _ticker(progress, "Checking: the live model", 0.3)
        found.told = list(runtime.read(found.rows, tick))
        found.probed = list(runtime.read(found.probes, tick))
        if live.adapter:
            with runtime.model.disable_adapter():
                _read_bare(found, runtime, _ticker(progress, "Checking: the bare base", 0.5))
            _read_otherwise(found, runtime, _ticker(progress, "Checking: other strengths", 0.55))
        found.loss_trained = loss(found, found.told)
        if live.trained and found.held:
            quantized_base.put(_bare(runtime.model), live.trained)
            tick = _ticker(progress, "Checking: the model as it was trained", 0.6)
            found.loss_trained = loss(found, runtime.read(found.rows[: found.held], tick))
    return found


def loss(reference: Reference, told: Iterable[Told]) -> float | None:
    """The mean loss on held-out rows, which come first in `told`; None without such rows or where
    it isn't told."""
    return mean_loss([each.targets for each in islice(told, reference.held)])


def mean_loss(parts: list[torch.Tensor]) -> float | None:
    """The mean loss of what was told of real next tokens."""
    if not parts:
        return None
    mean = float(-torch.cat(parts).mean())
    return mean if mean == mean else None


def _reference(runtime: OfTransformers, held_out: Sequence[data.Row], wanted: int) -> Reference:
    prompts = list(_prompts(runtime))
    rows = _held(held_out, min(HELD_POSITIONS, wanted))
    known = sorted({token for prompt in prompts for token in prompt.ids})
    step = max(1, len(known) // PROBES)
    return Reference(
        prompts=prompts,
        texts=[(prompt.text, prompt.ids) for prompt in prompts] + _texts(runtime, rows),
        bos=runtime.bos,
        ends=_ends(runtime),
        tokenizer=runtime.tokenizer,
        held=len(rows),
        rows=rows,
        probes=[Row((token, known[0]), (0,)) for token in known[::step]],
    )


def _prompts(runtime: OfTransformers) -> Iterator[Prompt]:
    """Conversations that the template takes: some know no system prompt."""
    for messages in conversations():
        with contextlib.suppress(TemplateError):
            text = runtime.render(messages)
            yield Prompt(messages, text, runtime.encode(text))


def _held(rows: Sequence[data.Row], most: int) -> list[Row]:
    found: list[Row] = []
    for row in rows:
        places = [i - 1 for i, label in enumerate(row.labels.tolist()) if label >= 0 and i > 0]
        if places and sum(len(each.places) for each in found) < most:
            found.append(Row(tuple(row.input_ids.tolist()), tuple(places)))
    return found


def _texts(runtime: OfTransformers, rows: Sequence[Row]) -> list[tuple[str, list[int]]]:
    """Held-out rows as text, and what the live tokenizer makes of it."""
    texts = [runtime.decode(row.ids) for row in rows[:32]]
    return [(text, runtime.encode(text)) for text in texts]


def _ends(runtime: OfTransformers) -> frozenset[int]:
    """The id that ends an answer: what the template puts behind one, else all that are known to."""
    tokenizer = runtime.tokenizer
    return ends.of(tokenizer) or stop_tokens(_bare(runtime.model), tokenizer)


def _add_answers(
    found: Reference, runtime: OfTransformers, wanted: int, most: int, tick: Tick
) -> None:
    """The likeliest answers, and where they are too short seeded others, until there are enough
    places. Untimely ends are part of an answer."""
    stops, end = found.ends, min(found.ends, default=0)
    ids = [prompt.ids for prompt in found.prompts]
    answers = greedy(runtime.model, ids, stops, most, tick)
    found.prompts = [
        Prompt(prompt.messages, prompt.text, prompt.ids, answer)
        for prompt, answer in zip(found.prompts, answers, strict=True)
    ]
    found.rows += [_row(prompt.ids, prompt.answer, end) for prompt in found.prompts]
    random = torch.Generator().manual_seed(SEED)
    for _ in range(SAMPLED_ROUNDS):
        if found.positions >= wanted:
            return
        sampled = greedy(
            runtime.model, ids, stops, most, tick, lambda logits: _sample(logits, random)
        )
        found.rows += [_row(*pair, end) for pair in zip(ids, sampled, strict=True)]


def _sample(logits: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    odds = torch.softmax(logits.float().cpu() / TEMPERATURE, dim=-1)
    return torch.multinomial(odds, 1, generator=random)[:, 0].to(logits.device)


def _row(prompt: list[int], answer: list[int], end: int) -> Row:
    first = len(prompt) - 1
    return Row((*prompt, *answer, end), tuple(range(first, first + len(answer) + 1)))


def _read_bare(found: Reference, runtime: OfTransformers, tick: Tick) -> None:
    total, targets = 0.0, []
    for line, told in enumerate(runtime.read(found.rows, tick)):
        total += float(divergence(found.told[line].logprobs, told).sum())
        if line < found.held:
            targets.append(told.targets)
    found.kl_bare = total / max(1, found.positions)
    found.loss_bare = float(-torch.cat(targets).mean()) if targets else None


def _read_otherwise(found: Reference, runtime: OfTransformers, tick: Tick) -> None:
    if not any(isinstance(module, LoraLayer) for module in runtime.model.modules()):
        return
    rows = found.rows[: first_rows(found.rows)]
    for strength in STRENGTHS:
        with rescale_adapter_scale(runtime.model, strength):
            found.otherwise[strength] = list(runtime.read(rows, tick))


def first_rows(rows: Sequence[Row]) -> int:
    """How many rows are enough to tell causes apart."""
    places = 0
    for count, row in enumerate(rows):
        places += len(row.places)
        if places >= STRENGTH_PLACES:
            return count + 1
    return len(rows)


def _bare(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _ticker(progress: Progress, text: str, share: float) -> Tick:
    return lambda: progress(text, share)
