"""Is the adapter that was baked the mix that was heard? And is the mix any good?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from studio.core.mixing import Mix
from studio.core.passport import Check, Passport
from studio.engine import base_choice
from studio.engine.beside import attach
from studio.engine.data import Row
from studio.engine.generate import greedy, prompt_ids, stop_tokens
from studio.engine.live_mix import LiveMix
from studio.engine.load import load_model, load_tokenizer, stored_dtype
from studio.engine.passport.questions import conversations
from studio.engine.precision import best_device
from studio.library import adapters, mixing
from studio.library.folders import Home

Tick = Callable[[str, float], None]

AGREEMENT, KL = 0.99, 1e-4
"""What passes. Both are sums in 32 bits of the same numbers, so only a broken file differs."""
ANSWER_TOKENS = 24
_LIVE, _BAKED = "live_mix", "baked"


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """Losses in nats a token on the rows that one adapter's run held out, `positions` tokens: of
    the bare base, of each adapter by its name, of the mix."""

    rows_of: str
    positions: int
    base: float
    adapters: dict[str, float]
    mix: float


@dataclass(frozen=True)
class _Heard:
    ids: list[int]
    start: int


class Trial:
    """The base with the live mix on it, loaded once for all that is measured."""

    def __init__(self, base: Path, mix: Mix) -> None:
        self._mix = mix
        self._dtype = stored_dtype(base)
        self._tokenizer = load_tokenizer(base, _template(mix))
        live = LiveMix(load_model(base, self._dtype, device=best_device()), _LIVE, mix)
        self._model: Any = live.model

    def check(self, baked: Path, tick: Tick) -> Passport:
        """The baked folder, read back by PEFT, beside the live mix at every token of the mix's
        answers to fixed prompts. `tick` may raise."""
        text = "Checking the baked adapter"
        tick(text, 0.0)
        rows = self._answers(lambda: tick(text, 0.1))
        live = self._told(rows, lambda: tick(text, 0.5))
        with self._model.disable_adapter():
            bare = self._told(rows, lambda: tick(text, 0.7))
        attach(self._model, baked, _BAKED)
        told = self._told(rows, lambda: tick(text, 0.9))
        self._drop(_BAKED)
        apart = _divergence(live, told)
        top1, kl = float((live.argmax(-1) == told.argmax(-1)).float().mean()), float(apart.mean())
        checks = (
            Check(name="agreement", passed=top1 >= AGREEMENT, measured=top1, wanted=AGREEMENT),
            Check(name="kl", passed=kl <= KL, measured=kl, wanted=KL),
        )
        dtype = str(self._dtype).removeprefix("torch.")
        return Passport(
            grade="pass" if all(check.passed for check in checks) else "fail",
            runtime="peft",
            precision=dtype,
            dtype=dtype,
            checks=checks,
            top1=top1,
            agreement=top1,
            kl=kl,
            kl_max=float(apart.max()),
            kl_without_adapter=float(_divergence(live, bare).mean()),
            positions=live.shape[0],
            prompts=len(rows),
        )

    def score(self, home: Home, tick: Tick) -> list[Scored]:
        """The mix on every adapter's held-out rows, beside the adapters and the bare base.

        Adapters whose run is gone or held nothing out bring no rows; `tick` may raise.
        """
        sets = held_out(home, self._mix)
        if not sets:
            return []
        names = [one.name or Path(one.adapter).name for one in self._mix.adapters]
        steps = 2 + len(names)

        def losses(of: str, step: int) -> list[float]:
            def told(share: float) -> None:
                tick(f"Scoring {of}", (step + share) / steps)

            return [base_choice.loss(self._model, rows, told) for _, rows in sets]

        mix = losses("the mix", 0)
        with self._model.disable_adapter():
            bare = losses("the bare model", 1)
        alone: dict[str, list[float]] = {}
        for step, (name, one) in enumerate(zip(names, self._mix.adapters, strict=True), 2):
            attach(self._model, Path(one.adapter), _BAKED)
            alone[name] = losses(name, step)
            self._drop(_BAKED)
        return [
            Scored(
                rows_of=name,
                positions=sum(int((row.labels[1:] >= 0).sum()) for row in rows),
                base=bare[at],
                adapters={each: found[at] for each, found in alone.items()},
                mix=mix[at],
            )
            for at, (name, rows) in enumerate(sets)
        ]

    def _drop(self, name: str) -> None:
        self._model.set_adapter(_LIVE, inference_mode=True)
        self._model.delete_adapter(name)

    def _answers(self, tick: Callable[[], None]) -> list[_Heard]:
        prompts = [
            prompt_ids(self._tokenizer, messages)
            for messages in conversations()
            if len(messages) == 1  # not every template takes a system prompt
        ]
        stop = stop_tokens(self._model.get_base_model(), self._tokenizer)
        answers = greedy(self._model, prompts, stop, ANSWER_TOKENS, tick)
        end = min(stop, default=0)
        return [
            _Heard(prompt + answer + [end], len(prompt) - 1)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]

    @torch.inference_mode()
    def _told(self, rows: Sequence[_Heard], tick: Callable[[], None]) -> torch.Tensor:
        """Log-probabilities at every token of the answers, [positions, vocabulary]."""
        parts = []
        for row in rows:
            tick()
            ids = torch.tensor([row.ids], device=self._model.device)
            logits = self._model(input_ids=ids).logits[0, row.start : -1]
            parts.append(torch.log_softmax(logits.float(), dim=-1).cpu())
        return torch.cat(parts)


def held_out(home: Home, mix: Mix) -> list[tuple[str, list[Row]]]:
    """The held-out rows of the runs that the adapters come from, with the adapter's name."""
    found = []
    for one in mix.adapters:
        known = adapters.facts(Path(one.adapter))
        if rows := base_choice.rows_of(home, known.run):
            found.append((one.name or known.name, rows))
    return found


def _template(mix: Mix) -> str:
    """The chat template that the mix's adapter comes with."""
    file = Path(mixing.strongest(mix).adapter) / mixing.TEMPLATE
    return file.read_text("utf-8") if file.is_file() else ""


def _divergence(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (reference.exp() * (reference - other)).sum(-1).clamp_min(0.0)
