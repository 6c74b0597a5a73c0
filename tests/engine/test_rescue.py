"""Running out of memory at any point: the run goes on, and learns the same."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from bitsandbytes.optim import AdamW8bit
from safetensors.torch import load_file, save_file
from transformers import Adafactor

from studio.core import commands
from studio.core import events as ev
from studio.core.commands import Train
from studio.core.errors import StudioError
from studio.core.recipe import DataPart, LoraPart, Recipe
from studio.engine import evaluate, rescue, train
from studio.engine.checkpoint import Checkpoints
from studio.engine.decided import Decided
from studio.engine.tasks.causal_lm import Batch, CausalLM
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from tests.engine import making
from tests.engine.making import (
    changed,
    context_of,
    eval_losses,
    losses,
    padded,
    run_folder,
    said,
    token_rows,
    told,
    write_rows,
)


def recipe(model: Path, method: str = "lora", **training: Any) -> Recipe:
    """Rows side by side, so that a batch's lines are its rows."""
    return padded(making.recipe(model, method, **training))


class Memory:
    """An allocator that refuses: the loss of a batch for which `full` is true."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full: Callable[[CausalLM, Batch], bool] = lambda task, batch: False
        plain = CausalLM.loss_sum

        def loss_sum(task: CausalLM, batch: Batch) -> torch.Tensor:
            loss = plain(task, batch)
            if self.full(task, batch):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return loss

        monkeypatch.setattr(CausalLM, "loss_sum", loss_sum)

    def holds(self, rows: int) -> None:
        """From now on, at most so many rows at once."""
        self.full = lambda task, batch: len(batch.input_ids) > rows


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Room for everything until a test says otherwise."""
    return Memory(monkeypatch)


def with_dropout(wanted: Recipe) -> Recipe:
    return msgspec.structs.replace(wanted, lora=LoraPart(rank=8, alpha=16.0, dropout=0.1))


def trained(home: Home, folder: Path, resume: bool = False) -> Path:
    train.run(context_of(home, folder, Train(resume=resume)))
    return folder


def decided(folder: Path) -> Decided:
    return msgspec.json.decode(JobFolder(folder).decided.read_bytes(), type=Decided)


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(JobFolder(folder).adapter / "adapter_model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    first, second = final_weights(one), final_weights(other)
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


def by_step(folder: Path) -> dict[int, float | None]:
    """The last loss said of each step."""
    return {event.step: event.metrics["loss"] for event in said(folder, ev.Step)}


def test_short_memory_at_the_first_step_halves_until_it_fits(
    home: Home, tiny_model: Path, memory: Memory
) -> None:
    wanted = recipe(tiny_model, max_steps=4)
    whole = trained(home, run_folder(home, wanted))
    memory.holds(2)
    folder = trained(home, run_folder(home, wanted))
    assert losses(folder) == pytest.approx(losses(whole), rel=1e-4)
    rescued = said(folder, ev.Rescued)
    assert {(event.step, event.where) for event in rescued} == {(0, "a step")}
    assert rescued[-1].micro_batch_size == decided(folder).micro_batch_size == 2
    assert rescued[-1].gradient_accumulation == decided(folder).gradient_accumulation == 4
    assert jobs.state(folder).rescues == len(rescued)
    assert jobs.state(folder).state == "finished"


def test_a_rescued_step_draws_its_random_numbers_anew(
    home: Home, tiny_model: Path, memory: Memory
) -> None:
    """Bit for bit what a run with the smaller micro-batches would have learnt from there on."""
    wanted = with_dropout(recipe(tiny_model, max_steps=5, micro_batch_size=2))
    small = trained(home, run_folder(home, wanted))
    count = 0

    def second_of_the_first_step(_: CausalLM, batch: Batch) -> bool:
        nonlocal count
        count += 1
        return count == 2

    memory.full = second_of_the_first_step
    folder = trained(home, run_folder(home, changed(wanted, micro_batch_size=4)))
    assert len(said(folder, ev.Rescued)) == 1
    assert losses(folder) == losses(small)
    assert same_weights(folder, small)


def test_a_long_batch_later_on_is_survived_and_remembered(
    home: Home, tiny_model: Path, memory: Memory
) -> None:
    wanted = recipe(tiny_model, max_steps=8)
    whole = trained(home, run_folder(home, wanted))
    folder = run_folder(home, wanted)
    longest: list[int] = []

    def room(_: CausalLM, batch: Batch) -> bool:
        longest.append(batch.input_ids.numel())
        return len(longest) > 4 and batch.input_ids.numel() > max(longest[:4]) // 2

    memory.full = room
    train.run(told(context_of(home, folder), 6, commands.Pause()))
    first = said(folder, ev.Rescued)
    assert first
    assert first[0].step > 0
    trained(home, folder, resume=True)
    assert said(folder, ev.Rescued) == first
    assert said(folder, ev.Started)[-1].decided["micro_batch_size"] == first[-1].micro_batch_size
    assert losses(folder) == pytest.approx(losses(whole), rel=1e-4)


def failing_update(
    monkeypatch: pytest.MonkeyPatch, at: int, kind: type[Any] = torch.optim.AdamW
) -> None:
    """One update of the weights moves half of them, then finds no memory."""
    plain, calls = kind.step, 0

    def step(optimizer: Any, closure: Any = None) -> Any:
        nonlocal calls
        calls += 1
        if calls != at:
            return plain(optimizer, closure)
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for weight in weights[::2]:
            weight.grad = None
        plain(optimizer, closure)
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 33554432 bytes. Error code 12 (Cannot allocate memory)"
        )

    monkeypatch.setattr(kind, "step", step)


@pytest.mark.parametrize(
    ("at", "method", "optimizer", "kind"),
    [
        (1, "lora", "adamw", torch.optim.AdamW),
        (5, "lora", "adamw", torch.optim.AdamW),
        (5, "qlora", "adamw_8bit", AdamW8bit),
        (5, "lora", "adafactor", Adafactor),
    ],
)
def test_a_half_done_update_is_put_back_exactly(
    home: Home,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    method: str,
    optimizer: str,
    kind: type[Any],
) -> None:
    settings = {"max_steps": 7, "micro_batch_size": 2, "optimizer": optimizer}
    wanted = with_dropout(recipe(tiny_model, method, **settings))
    small = trained(home, run_folder(home, wanted))
    with monkeypatch.context() as patch:
        failing_update(patch, at, kind)
        folder = trained(home, run_folder(home, changed(wanted, micro_batch_size=4)))
    rescued = said(folder, ev.Rescued)
    assert [(event.step, event.where) for event in rescued] == [(0, "the update of the weights")]
    assert [event.step for event in said(folder, ev.Step)] == [*range(1, at), *range(1, 8)]
    assert by_step(folder) == by_step(small)
    assert same_weights(folder, small)


def test_a_half_done_update_goes_back_to_the_newest_checkpoint(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tiny_model, max_steps=7)
    whole = trained(home, run_folder(home, wanted))
    folder = run_folder(home, wanted)
    with monkeypatch.context() as patch:
        failing_update(patch, 6)
        train.run(told(context_of(home, folder), 3, commands.Save()))
    assert said(folder, ev.Rescued)[0].step == 3
    assert [event.step for event in said(folder, ev.Step)] == [1, 2, 3, 4, 5, 4, 5, 6, 7]
    assert list(by_step(folder).values()) == pytest.approx(losses(whole), rel=1e-4)


def test_evaluation_goes_on_with_smaller_batches(
    home: Home, tiny_model: Path, memory: Memory
) -> None:
    wanted = recipe(tiny_model, max_steps=4, eval_every=2)
    whole = trained(home, run_folder(home, wanted))
    folder = run_folder(home, wanted)
    memory.full = lambda task, batch: not torch.is_grad_enabled() and len(batch.input_ids) > 3
    train.run(told(context_of(home, folder), 3, commands.Pause()))
    first = said(folder, ev.Rescued)
    assert {(event.step, event.where) for event in first} == {(2, "the evaluation")}
    trained(home, folder, resume=True)
    assert said(folder, ev.Rescued) == first
    assert losses(folder) == losses(whole)
    assert eval_losses(folder) == pytest.approx(eval_losses(whole), rel=1e-5)


def test_without_room_for_one_row_evaluation_and_samples_are_left_out(
    home: Home, tiny_model: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise MemoryError

    wanted = msgspec.structs.replace(recipe(tiny_model, max_steps=2), sample_prompts=("note tea",))
    memory.full = lambda task, batch: not torch.is_grad_enabled()
    monkeypatch.setattr(evaluate, "answers", no_room)
    folder = trained(home, run_folder(home, wanted))
    notes = [note.text for note in said(folder, ev.Note)]
    assert any("to evaluate" in text for text in notes)
    assert any("sample answers" in text for text in notes)
    assert said(folder, ev.Finished)[0].result["eval_loss"] is None


def test_saving_is_tried_again(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def failing(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise MemoryError
        save_file(*given)

    monkeypatch.setattr("studio.engine.checkpoint.save_file", failing)
    folder = run_folder(home, recipe(tiny_model, max_steps=4, eval_every=4))
    train.run(told(context_of(home, folder), 2, commands.Pause()))
    assert [(event.step, event.where) for event in said(folder, ev.Rescued)] == [(2, "saving")]
    assert said(folder, ev.Paused)
    assert Checkpoints(JobFolder(folder).checkpoints).newest()[0] is not None


def test_activations_are_computed_again_before_giving_up(
    home: Home, tiny_model: Path, memory: Memory
) -> None:
    wanted = recipe(tiny_model, max_steps=3)
    whole = trained(home, run_folder(home, wanted))

    def needs_checkpointing(task: CausalLM, batch: Batch) -> bool:
        return torch.is_grad_enabled() and not recomputes(task)

    memory.full = needs_checkpointing
    folder = trained(home, run_folder(home, wanted))
    assert decided(folder).gradient_checkpointing
    assert decided(folder).micro_batch_size == 1
    assert losses(folder) == pytest.approx(losses(whole), rel=1e-4)


def recomputes(task: CausalLM) -> bool:
    return any(getattr(module, "gradient_checkpointing", False) for module in task.model.modules())


def test_what_would_help_is_said_and_nothing_is_lost(
    home: Home, tiny_model: Path, memory: Memory
) -> None:
    wanted = recipe(tiny_model, "full", max_steps=5, gradient_checkpointing="no")
    wanted = msgspec.structs.replace(wanted, data=DataPart(max_length=4096))
    whole = trained(home, run_folder(home, wanted))
    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 3, commands.Pause()))
    memory.full = lambda task, batch: torch.is_grad_enabled()
    with pytest.raises(StudioError) as caught:
        trained(home, folder, resume=True)
    assert caught.value.title == "Out of memory"
    assert "even with one row at a time" in caught.value.text
    assert not decided(folder).gradient_checkpointing
    ways = caught.value.fix
    assert [
        ways.index(word) for word in ("checkpointing on, about", "max_length to 2048", "resume")
    ]
    saved = [int(number) for number in re.findall(r"about (\d+) MB less", ways)]
    assert len(saved) >= 2
    assert saved == sorted(saved, reverse=True)
    assert "micro_batch_size" not in ways
    memory.full = lambda task, batch: False
    trained(home, folder, resume=True)
    assert losses(folder) == pytest.approx(losses(whole), rel=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="the system's limit counts only there")
def test_memory_that_really_runs_out_on_a_processor(home: Home, tiny_model: Path) -> None:
    """In a process of its own whose system gives 80 MiB more than the ready model takes."""
    wanted = recipe(
        tiny_model, max_steps=3, batch_size=32, micro_batch_size=32, eval_every=99, warmup_share=0
    )
    whole, folder = run_folder(home, wanted, 32, 0), run_folder(home, wanted, 32, 0)
    longer = [
        {name: (values * 40)[:512] for name, values in row.items()}
        for row in token_rows(tiny_model, 32)
    ]
    for run in (whole, folder):
        write_rows(run / "data" / "train.arrow", longer)
    trained(home, whole)
    words = ["-m", "tests.engine.short_of_memory", str(home.root), str(folder), "80"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "DefaultCPUAllocator: can't allocate memory" in done.stderr
    assert said(folder, ev.Rescued)
    assert losses(folder) == pytest.approx(losses(whole), rel=1e-4)
    assert (losses(whole)[0] or 0) > (losses(whole)[-1] or 9)
    assert jobs.state(folder).state == "finished"


def test_what_a_failed_call_held_is_let_go() -> None:
    left: list[weakref.ref[torch.Tensor]] = []

    def hold(depth: int) -> None:
        big = torch.zeros(1000)
        left.append(weakref.ref(big))
        if depth:
            hold(depth - 1)
        try:
            raise MemoryError
        except MemoryError as error:
            raise RuntimeError("CUDA error: out of memory") from error

    gc.disable()
    try:
        assert rescue.within_memory(lambda: hold(2)) is None
    finally:
        gc.enable()
    assert [each() for each in left] == [None] * 3


def test_other_errors_pass() -> None:
    def wrong() -> None:
        raise ValueError("no memory of this")

    with pytest.raises(ValueError, match="no memory of this"):
        rescue.within_memory(wrong)
