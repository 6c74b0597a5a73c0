"""What keeper and clients say survives the wire unchanged."""

from __future__ import annotations

import math
from typing import get_args

import msgspec
import pytest

from studio.core import commands, events, wire
from studio.core.facts import Gpu, Machine
from studio.core.queue import Queue

ASKS: tuple[wire.AnyAsk, ...] = (
    wire.Hello(id=1, client="window"),
    wire.Start(id=2, folder="/a b/ü"),
    wire.Start(id=2, folder="/a", job=commands.Train(resume=True)),
    wire.Tell(id=3, folder="/a", command=commands.Say(request="1", messages=({"role": "user"},))),
    wire.Watch(id=4, folder="/a", offset=7),
    wire.Unwatch(id=5, folder="/a"),
    wire.Jobs(id=6),
    wire.WatchMachine(id=7, on=True),
    wire.QueueAdd(id=8, folder="/a", at=0),
    wire.QueueRemove(id=9, folder="/a"),
    wire.QueueRun(id=10, on=True, then="shut-down"),
    wire.Quit(id=11),
)
STEP = events.Step(
    step=1, metrics={"loss": events.finite(math.nan), "grad_norm": 0.5}, tokens=3, seconds=0.1
)
ANSWERS: tuple[wire.AnyAnswer, ...] = (
    wire.Done(id=1, value=[1, "a", None]),
    wire.Refusal(id=1, title="T", text="t", fix="f"),
    wire.Heard(folder="/a", events=[STEP, events.Ended(code=-9)], offset=9, watch=4, ended=True),
    wire.MachineNow(
        machine=Machine(
            gpus=(
                Gpu(
                    index=0,
                    name="x",
                    total_bytes=1 << 40,
                    used_bytes=2,
                    free_bytes=3,
                    compute_capability=(8, 9),
                ),
            )
        )
    ),
    wire.JobsNow(rows=[wire.JobRow(folder="/a", kind="train", name="a", state="running")]),
    wire.QueueNow(queue=Queue(waiting=("a", "b"), running=True, then="sleep", current="c")),
)


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: type(ask).__name__)
def test_asks(ask: wire.AnyAsk) -> None:
    assert wire.ask_decoder.decode(wire.encode(ask)) == ask


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_answers(answer: wire.AnyAnswer) -> None:
    assert wire.answer_decoder.decode(wire.encode(answer)) == answer


def test_nothing_is_forgotten_here() -> None:
    assert {type(ask) for ask in ASKS} == set(get_args(wire.AnyAsk))
    assert {type(answer) for answer in ANSWERS} == set(get_args(wire.AnyAnswer))


def test_what_versions_say_to_each_other_never_changes() -> None:
    """client/versions.py: any window can tell any keeper apart and ask it to leave."""
    assert wire.encode(wire.Hello(id=1, client="window")) == (
        b'{"ask":"hello","id":1,"client":"window"}'
    )
    assert wire.encode(wire.Jobs(id=2)) == b'{"ask":"jobs","id":2}'
    assert wire.encode(wire.Quit(id=3)) == b'{"ask":"quit","id":3}'
    done = b'{"say":"done","id":1,"value":{"version":"0.1.0","pid":7,"home":"/h","later":1}}'
    answer = wire.answer_decoder.decode(done)
    assert isinstance(answer, wire.Done)
    welcome = wire.Welcome(version="0.1.0", pid=7, home="/h")
    assert msgspec.convert(answer.value, wire.Welcome) == welcome


@pytest.mark.parametrize("rubbish", [b"", b"null", b'{"ask":"moon"}', b'{"ask":"start"}', b"\xff"])
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        wire.ask_decoder.decode(rubbish)
