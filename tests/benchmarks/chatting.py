"""Chat: an adapter's and a mix's speed beside the bare base's, swapping, and a second turn's first
token.

    python -m tests.benchmarks.chatting [--model DIR] [--tokens 48] [--rounds 5]
                                        [--only folded|mix|beside|4bit] [--cpu-time]

Speeds are of one token after another, the sides in turn so that the machine's moods meet all. On a
machine that does other things too, `--cpu-time` counts the processor time of one thread instead.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from studio.core.mixing import Ingredient, Mix
from studio.engine import precision
from studio.engine.conversation import BARE, Speaker
from studio.engine.generate import Sampler, stream
from studio.engine.load import load_model, load_tokenizer
from studio.engine.prefix import Prefix
from studio.library import mixing
from studio.library.folders import Home, default_root
from tests.support import adapters as made

HISTORY = 1000
SPEED, SWAP, FIRST = 0.95, 0.5, 0.2


class _Clock:
    now: Callable[[], float] = staticmethod(time.perf_counter)


_clock = _Clock()


def main() -> None:
    """Measure, and print every figure beside what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=_starter())
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("folded", "mix", "beside", "4bit"))
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    if not options.model.is_dir():
        parser.error(f"there is no {options.model}; name a model with --model DIR")
    if options.cpu_time:
        torch.set_num_threads(1)
        _clock.now = time.process_time
    device = precision.best_device()
    chosen = precision.decide("auto", device)
    print(f"{options.model.name}, {chosen.name} on {device}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            str(made.make_adapter(options.model, Path(folder) / str(seed), seed=seed, r=16))
            for seed in (1, 2)
        )
        if options.only != "4bit":
            model = load_model(options.model, chosen.dtype, device=device)
            if options.only in (None, "folded"):
                _folded(options, model, first, second)
            if options.only in (None, "mix"):
                _mix(options, model, (first, second), Path(folder))
            if options.only in (None, "beside"):
                _beside(options, model, first)
        if options.only in (None, "4bit"):
            model = load_model(options.model, chosen.dtype, bits=4, device=device)
            _beside(options, model, first)


def _folded(options: argparse.Namespace, model: PreTrainedModel, first: str, second: str) -> None:
    speaker = Speaker(options.model, model, load_tokenizer(options.model))
    before = _bytes(model)
    speaker.load(first)
    ratio, words = _against_bare(speaker, first, options)
    _say("folded adapter, of the bare base's tokens/s", ratio, SPEED, ratio >= SPEED, words)
    print(f"    its weights take {speaker.own_bytes(first) / 1e6:.0f} MB of their own")
    swaps = []
    for number in range(2 * options.rounds):
        begin = _clock.now()
        speaker.hold([(second, first)[number % 2]])
        swaps.append(_clock.now() - begin)
    swap = statistics.median(swaps)
    _say("swap, seconds", swap, SWAP, swap <= SWAP, f"at most {max(swaps):.2f}")
    _second_turn(speaker, options)
    speaker.hold([])
    print(f"base bit-exact after all of it: {'yes' if _bytes(model) == before else 'NO'}")


def _mix(
    options: argparse.Namespace, model: PreTrainedModel, folders: Sequence[str], root: Path
) -> None:
    """Two adapters as one live mix: its speed, and how soon it speaks after a slider was moved."""
    home = Home(root / "home").make()
    speaker = Speaker(options.model, model, load_tokenizer(options.model))
    before = _bytes(model)

    def mix(weight: float) -> str:
        told = (weight, 1 - weight)
        each = (Ingredient(adapter=f, weight=w) for f, w in zip(folders, told, strict=True))
        return str(mixing.draft(home, Mix(adapters=tuple(each))))

    speaker.need([mix(0.5)])
    ratio, words = _against_bare(speaker, mix(0.5), options)
    _say("live mix, of the bare base's tokens/s", ratio, SPEED, ratio >= SPEED, words)
    slides = []
    for number in range(2 * options.rounds):
        side = mix(0.1 + number / 100)
        begin = _clock.now()
        speaker.need([side])
        slides.append(_clock.now() - begin)
    slide = statistics.median(slides)
    _say("a slider, seconds", slide, SWAP, slide <= SWAP, f"at most {max(slides):.2f}")
    speaker.hold([])
    print(f"base bit-exact after all of it: {'yes' if _bytes(model) == before else 'NO'}")


def _beside(options: argparse.Namespace, model: PreTrainedModel, adapter: str) -> None:
    """What an adapter costs that PEFT adds at every layer; in 4 bits there is no other way."""
    bits = 4 if getattr(model, "is_loaded_in_4bit", False) else 16
    speaker = Speaker(options.model, model, load_tokenizer(options.model), fold=False)
    speaker.load(adapter)
    options.rounds, options.tokens = min(3, options.rounds), min(16, options.tokens)
    ratio, words = _against_bare(speaker, adapter, options)
    print(f"added by PEFT, base in {bits} bits: {ratio:.2f} of the bare base  ({words})")
    speaker.hold([])


def _against_bare(speaker: Speaker, side: str, options: argparse.Namespace) -> tuple[float, str]:
    """The median of the rounds' ratios, and both speeds in words."""
    rates: dict[str, list[float]] = {BARE: [], side: []}
    for number in range(options.rounds + 1):
        for one in (BARE, side) if number % 2 else (side, BARE):
            rate = _rate(speaker, one, options.tokens)
            if number:  # the first round warms up
                rates[one].append(rate)
    ratios = [a / b for a, b in zip(rates[side], rates[BARE], strict=True)]
    bare, own = (statistics.median(rates[one]) for one in (BARE, side))
    return statistics.median(ratios), f"{own:.1f} against {bare:.1f} tokens/s"


def _rate(speaker: Speaker, side: str, count: int) -> float:
    prompt = _prompt(speaker, 60)
    with speaker.speaking(side) as model:
        tokens = stream(model, prompt, Sampler(0, 1, 0), frozenset(), count + 1)
        next(tokens)
        begin = _clock.now()
        for _ in tokens:
            pass
        return count / (_clock.now() - begin)


def _second_turn(speaker: Speaker, options: argparse.Namespace) -> None:
    """A question behind 1,000 tokens: read whole, and read on from what the first turn left."""
    model = speaker.base
    whole: list[float] = []
    kept: list[float] = []
    history = _prompt(speaker, HISTORY)
    question = _prompt(speaker, 24)
    answers = []
    for _ in range(options.rounds):
        prefix = Prefix(model)
        answer = list(stream(model, history, Sampler(0, 1, 0), frozenset(), 12, prefix))
        prompt = [*history, *answer, *question]
        for times, start in ((whole, Prefix(model)), (kept, prefix)):
            start.cut(start.common(prompt))
            tokens = stream(model, prompt, Sampler(0, 1, 0), frozenset(), 24, start)
            seconds, token = _timed(tokens)
            times.append(seconds)
            answers.append((token, *tokens))
    ratio = statistics.median(b / a for a, b in zip(whole, kept, strict=True))
    words = f"{statistics.median(kept):.3f} against {statistics.median(whole):.3f} s"
    _say("second turn's first token, of a full prefill", ratio, FIRST, ratio <= FIRST, words)
    print(f"    the same greedy answers: {'yes' if len(set(answers)) == 1 else 'NO'}")


def _timed(tokens: Iterator[int]) -> tuple[float, int]:
    begin = _clock.now()
    found = next(tokens)
    return _clock.now() - begin, found


def _prompt(speaker: Speaker, count: int) -> list[int]:
    """So many tokens of English."""
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    ids: list[int] = speaker.tokenizer(text[: 12 * count], add_special_tokens=False)["input_ids"]
    assert len(ids) >= count
    return ids[:count]


def _bytes(model: torch.nn.Module) -> dict[str, bytes]:
    return {
        name: weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        for name, weight in model.named_parameters(remove_duplicate=False)
    }


def _say(what: str, value: float, asked: float, reached: bool, words: str) -> None:
    mark = "reached" if reached else "MISSED"
    print(f"{what}: {value:.3f}  (asked {asked}, {mark}; {words})")


def _starter() -> Path:
    places: Sequence[Path] = (
        Path(__file__).parents[2] / ".venv" / "test-cache" / "home",
        default_root(),
    )

    if named := os.environ.get("FINETUNE_STUDIO_TEST_CACHE"):
        places = (Path(named) / "home", *places)
    found = [Home(place).models / "SmolLM2-135M-Instruct" for place in places]
    return next((folder for folder in found if folder.is_dir()), found[-1])


if __name__ == "__main__":
    main()
