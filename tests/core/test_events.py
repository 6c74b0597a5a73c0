"""The event log's encoding: every event survives it, and no line can stop a reader."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core import events as ev

ONE_OF_EACH: tuple[ev.AnyEvent, ...] = (
    ev.Created(kind="train"),
    ev.Started(pid=7, total_steps=10, decided={"dtype": "bfloat16", "threads": 2}),
    ev.Stage(text="Loading the model", share=0.5),
    ev.Step(step=1, metrics={"loss": 1.5, "grad_norm": None}, tokens=100, seconds=2.0),
    ev.Evaluated(step=1, metrics={"loss": 1.25}, best=True),
    ev.Sampled(step=1, prompt="Hi", text="Grüße 😀"),
    ev.Saved(step=1, path="checkpoints/step-1", bytes=12, seconds=0.1),
    ev.Note(text="Low on disk.", severity="warning"),
    ev.TokenText(request="a", text="Hel", side=1),
    ev.Answered(request="a", text="Hello", tokens=2, tokens_per_second=20.0),
    ev.Ready(model="m", adapters=("x",)),
    ev.Serving(address="http://127.0.0.1:8765/v1", models=("m", "x"), requests=3, active=1),
    ev.Refused(request="a", title="No", text="Can't.", fix="Don't."),
    ev.Rescued(step=3, where="a step", micro_batch_size=2, gradient_accumulation=8),
    ev.RolledBack(step=9, to_step=4, text="The loss is no number any more."),
    ev.Paused(checkpoint="c", step=4, reason="heat"),
    ev.Finished(result={"run": "r", "steps": 3, "adapter": None}),
    ev.Cancelled(),
    ev.Failed(title="Disk full", text="The disk is full.", fix="Free some space."),
    ev.Ended(code=-9, title="Killed", text="The engine was killed.", fix="Resume the run."),
)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: type(e).__name__)
def test_every_event_survives_the_log(event: ev.AnyEvent) -> None:
    line = ev.encode(event)
    assert b"\n" not in line
    assert ev.decode(line) == event


def test_there_is_an_example_of_every_event() -> None:
    assert {json.loads(ev.encode(event))["event"] for event in ONE_OF_EACH} == set(ev.names())


def test_a_step_reads_as_the_command_line_promises() -> None:
    step = ev.Step(step=12, metrics={"loss": 1.93}, tokens=5, seconds=1.0)
    assert json.loads(ev.encode(step))["event"] == "step"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_does_not_kill_its_reader(value: float) -> None:
    step = ev.Step(step=1, metrics={"loss": ev.finite(value)}, tokens=0, seconds=0.0)
    assert ev.decode(ev.encode(step)) == step


@given(st.binary(max_size=200))
def test_any_bytes_decode_to_some_event(line: bytes) -> None:
    assert ev.decode(line) is not None


def test_half_a_line_becomes_a_warning() -> None:
    half = ev.encode(ONE_OF_EACH[3])[:20]
    note = ev.decode(half)
    assert isinstance(note, ev.Note)
    assert note.severity == "warning"
