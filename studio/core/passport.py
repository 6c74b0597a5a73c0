"""The passport of an export: what was measured, what it should have been, and both in words."""

from __future__ import annotations

from typing import Literal

import msgspec

FILE = "passport.json"
POSITIONS = 1_000
"""Positions of answers that a full check compares at least."""
QUICK_POSITIONS = 200

CheckName = Literal[
    "prompt", "tokens", "bos", "stops", "agreement", "kl", "greedy", "strength", "loss"
]
Cause = Literal["", "lost", "strength", "rotation", "other"]


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """What passes. `agreement` is the least share of positions at which both find the same token
    likeliest, a near tie of `tie` nats counted as the same; `kl` the largest mean divergence in
    nats a token, `greedy` the least share of an answer that is the same from its beginning on.
    Held-out loss may be above that of the model as it was trained by `loss` nats, or by the share
    `given_up` of what training brought, whichever is more.
    """

    agreement: float
    kl: float
    tie: float
    greedy: float
    loss: float
    given_up: float


TOLERANCES: dict[str, Tolerance] = {
    "float32": Tolerance(
        agreement=0.99, kl=1e-4, tie=1e-3, greedy=0.9, loss=2e-3, given_up=0.01
    ),
    "float16": Tolerance(
        agreement=0.99, kl=1e-3, tie=0.03, greedy=0.6, loss=0.01, given_up=0.03
    ),
    "bfloat16": Tolerance(
        agreement=0.95, kl=3e-2, tie=0.25, greedy=0.4, loss=0.02, given_up=0.2
    ),
    "8-bit": Tolerance(agreement=0.95, kl=2e-2, tie=0.1, greedy=0.2, loss=0.02, given_up=0.05),
    "6-bit": Tolerance(agreement=0.92, kl=4e-2, tie=0.1, greedy=0.1, loss=0.03, given_up=0.1),
    "5-bit": Tolerance(agreement=0.65, kl=0.5, tie=0.1, greedy=0.0, loss=0.05, given_up=0.25),
    "4-bit": Tolerance(agreement=0.65, kl=0.5, tie=0.1, greedy=0.0, loss=0.05, given_up=0.25),
    "4-bit base": Tolerance(agreement=0.65, kl=0.5, tie=0.1, greedy=0.0, loss=0.1, given_up=0.5),
    "3-bit": Tolerance(agreement=0.6, kl=0.8, tie=0.1, greedy=0.0, loss=0.1, given_up=0.35),
    "2-bit": Tolerance(agreement=0.5, kl=1.5, tie=0.1, greedy=0.0, loss=0.2, given_up=0.5),
}  # fmt: skip
"""Chosen from the figures in tests/fixtures/passports.jsonl, so that every honest export that kept
three quarters of what training brought passes, and none that was spoiled does
(tests/core/test_tolerances.py); 3 and 2 bits are judgement.

Down to 6 bits each is some times what honest exports came to. Below that they spread over the
figures of spoiled ones: rounding a weak adapter to 4 bits moves answers further than halving it
does. There it is the nearest strength of the adapter (the check "strength", with one bound for all)
and held-out loss that tell them apart, and the rest only bounds what may be called the same model.
A merged bfloat16 weight has 8 significant bits: of an adapter of 10 steps 85 % came through, where
float16 kept all. "4-bit base" is for held-out loss where only the base was rounded, under an
adapter that is whole: what that costs isn't training lost.

float32 differs only in the order of additions. Logits between 16 and 32 lie 1/64 apart in float16
and 1/8 in bfloat16, and two such steps are a tie that either model may break either way."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was compared. For counts `wanted` is the most that passes (0), for shares the
    least, for divergences and losses the most."""

    name: CheckName
    passed: bool
    measured: float
    wanted: float


class Passport(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured over `positions` tokens of answers to `prompts` prompts, numbers alone.

    `top1` is the share of positions at which both find the same token likeliest; `agreement` counts
    a tie in the live model as the same. `kl` is the mean and `kl_max` the largest KL(live ||
    exported) in nats a token; `kl_over` is 0 where it runs over the whole vocabulary, else how many
    candidates the runtime tells (the rest counts as one). `kl_without_adapter` is the same mean for
    the bare base: what losing the adapter would give; None without an adapter.
    `loss` is the mean loss on `loss_positions` tokens of rows that the run held out, beside that of
    the live reference, of the model as it was trained and of the bare base; None where there are no
    such rows, or the runtime doesn't tell. `cause` says what the export looks like where it answers
    otherwise: as without the adapter ("lost"), as with the adapter at `strength` times its weight,
    with attention's positions turned ("rotation"), or like something else ("other").
    """

    grade: Literal["pass", "fail"]
    runtime: str
    precision: str
    dtype: str
    top1: float
    agreement: float
    kl: float
    kl_max: float
    kl_over: int = 0
    kl_without_adapter: float | None = None
    greedy: float = 1.0
    positions: int
    prompts: int
    loss: float | None = None
    loss_live: float | None = None
    loss_trained: float | None = None
    loss_bare: float | None = None
    loss_positions: int = 0
    cause: Cause = ""
    strength: float = 1.0
    checks: tuple[Check, ...] = ()

    @property
    def failing(self) -> tuple[Check, ...]:
        """The checks that didn't pass."""
        return tuple(check for check in self.checks if not check.passed)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token of a live answer; `instead` is what the export finds likelier, "" where it agrees."""

    text: str
    instead: str = ""
    kl: float = 0.0


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A rendered prompt, what the live model answers, token by token, and what the export answers.
    With the note "prompt" `exported` is how the export renders the same conversation."""

    prompt: str
    live: tuple[Token, ...] = ()
    exported: str = ""
    kl: float = 0.0
    note: Literal["", "prompt"] = ""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a passport isn't passed: what is so, and what to do about it."""

    name: str
    text: str
    fix: str


def loss_allowed(trained: float, bare: float | None, limits: Tolerance) -> float:
    """The highest held-out loss that passes."""
    gain = max(0.0, bare - trained) if bare is not None else 0.0
    return trained + max(limits.loss, limits.given_up * gain)


def kl_allowed(without_adapter: float | None, loss: float | None, limits: Tolerance) -> float:
    """The largest divergence that passes. Where no held-out loss tells whether training survived,
    the export has to be nearer to the live model than the bare base is."""
    if loss is not None or without_adapter is None:
        return limits.kl
    return min(limits.kl, max(0.02, 0.8 * without_adapter))


def verdict(passport: Passport) -> str:
    """The passport in one sentence."""
    over = f" over its {passport.kl_over} likeliest" if passport.kl_over else ""
    words = (
        f"Over {passport.positions:,} tokens the export in {passport.runtime} and the live model "
        f"agree on {passport.top1:.1%} of the likeliest; KL divergence{over} "
        f"{passport.kl:.2g} nats a token"
    )
    if passport.kl_without_adapter is not None:
        words += f" (without the adapter {passport.kl_without_adapter:.2g})"
    if passport.loss is not None and passport.loss_trained is not None:
        words += f"; held-out loss {passport.loss:.3f}, as trained {passport.loss_trained:.3f}"
    return f"{words}. {no_loss(passport)}".strip()


def no_loss(passport: Passport) -> str:
    """Why the passport has no held-out loss, and what it rests on instead; "" where it has one."""
    if passport.loss is not None:
        return ""
    if passport.loss_positions:
        return f"No held-out loss: {passport.runtime} doesn't tell it. Agreement decides."
    if passport.kl_without_adapter is None:
        return (
            "No held-out loss: without an adapter there is no training that could be lost. "
            "Agreement decides."
        )
    return (
        "No held-out loss: no rows that the adapter's run held out are here. Agreement "
        "decides, and being nearer to the adapter as trained than to another strength of it."
    )


def reasons(passport: Passport) -> list[Reason]:
    """Every failing check in words; what answers otherwise is one reason, not four."""
    failing = {check.name: check for check in passport.failing}
    found = [_FORM[name] for name in ("prompt", "tokens", "bos", "stops") if name in failing]
    if set(failing) & {"agreement", "kl", "greedy", "strength"}:
        found.append(_of_weights(passport))
    if "loss" in failing:
        found.append(_of_loss(passport, failing["loss"]))
    return found


_AGAIN = "Export again; if it fails again keep using the adapter on its base, and report it."

_FORM: dict[str, Reason] = {
    "prompt": Reason(
        name="Prompt",
        text="The export writes a conversation otherwise than the model was trained with: its chat "
        "template is another one.",
        fix="Give it the chat template that the adapter was trained with, then export again.",
    ),
    "tokens": Reason(
        name="Tokens",
        text="The export turns the same text into other tokens: its tokenizer is another one.",
        fix="Give it the tokenizer of the adapter's base, then export again.",
    ),
    "bos": Reason(
        name="Beginning of text",
        text="The export begins a conversation with another token than in training: the "
        "beginning-of-text token is lost or doubled.",
        fix="Set the beginning-of-text token as the base's tokenizer has it, then export again.",
    ),
    "stops": Reason(
        name="Stop",
        text="The export doesn't know the token that ends an answer: it would run on.",
        fix="Name that token as an end in its generation settings, then export again.",
    ),
}


def _of_weights(passport: Passport) -> Reason:
    if passport.cause == "lost":
        return Reason(
            name="Training lost",
            text="The export is as far from the live model as the bare base is: the training "
            "isn't in it.",
            fix="Export in a format with more bits, or use the adapter unmerged on its base.",
        )
    if passport.cause == "strength":
        return Reason(
            name="Strength",
            text=f"The export answers as if the adapter had {passport.strength:.2g} times its "
            "weight: its alpha, or its scale, is another one.",
            fix="Export again from the adapter as it was trained.",
        )
    if passport.cause == "rotation":
        return Reason(
            name="Positions",
            text="The export is right at the first token and wrong further on: the order of "
            "attention's query and key weights isn't the one that its runtime rotates.",
            fix=_AGAIN,
        )
    return Reason(
        name="Weights",
        text="The export answers otherwise than the live model: its weights are another run's, "
        "damaged, or rounded too far.",
        fix="Export again, or in a format with more bits.",
    )


def _of_loss(passport: Passport, check: Check) -> Reason:
    return Reason(
        name="Held-out loss",
        text=f"On held-out rows the export's loss is {check.measured:.3f}; as trained it was "
        f"{passport.loss_trained:.3f}, and up to {check.wanted:.3f} passes.",
        fix="Use a format with more bits, or the adapter unmerged on its base.",
    )
