"""What is compiled computes the same, from the step on that was decided and written down."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
import torch

from studio.core import commands
from studio.core import events as ev
from studio.core.recipe import LoraPart
from studio.engine import children, compiling, decided, train
from studio.engine.fast import compiler, layers, libraries, native, regions, rotary
from studio.library import accelerations, settings
from studio.library.folders import Home, JobFolder
from tests.conftest import cache_folder
from tests.engine.making import context_of, losses, recipe, run_folder, said, told

FORMAT = "bfloat16"
pytestmark = pytest.mark.skipif(not accelerations.compiler(), reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def made() -> Path:
    """Compiled once, and again where their source, torch or the processor is another."""
    home = Home(cache_folder() / "home")

    def write(folder: Path) -> None:
        command = children.python("-m", compiler.__name__, folder, FORMAT)
        status, last = children.run(command, lambda line: None, lambda: None)
        assert not status, last

    return libraries.kept(home, FORMAT) or libraries.keep(home, FORMAT, write)


@pytest.fixture
def known(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_known", {})
    native.load(made)


@pytest.fixture
def ready_home(home: Home, made: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that has the libraries already."""
    monkeypatch.setattr(native, "_known", {})
    shutil.copytree(made, libraries.place_of(home, FORMAT))
    return home


def both_ways(work: Callable[[], list[torch.Tensor]]) -> Iterator[tuple[torch.Tensor, ...]]:
    plain = work()
    with native.at_work(True):
        yield from zip(plain, work(), strict=True)


def test_nothing_is_left_beside_the_libraries_and_no_process_stays(made: Path) -> None:
    names = {path.name.partition("-")[0] for path in made.iterdir()}
    assert names == {"norm", "normed", "norm_backward", "gate_backward", "rotated"}
    running = [child.name() for child in psutil.Process().children(recursive=True)]
    assert not [name for name in running if "g++" in name or "cc1plus" in name]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("lines", "tokens", "width"), [(1, 5, 16), (2, 300, 96), (1, 97, 46)])
def test_results_and_gradients_are_those_of_the_plain_layers(
    lines: int, tokens: int, width: int
) -> None:
    torch.manual_seed(0)
    shape, dtype = (lines, tokens, width), torch.bfloat16
    x, gates, values, above = (torch.randn(shape, dtype=dtype) for _ in range(4))
    weight = torch.randn(width, dtype=dtype)
    cos, sin = torch.randn(2, lines, tokens, width, dtype=dtype)
    heads = torch.randn(lines, tokens, 3, width, dtype=dtype).transpose(1, 2)

    def work() -> list[torch.Tensor]:
        inputs = [one.clone().requires_grad_() for one in (x, gates, values, heads)]
        normed = layers.norm(inputs[0], weight, 1e-5)
        gated = layers.gate(*inputs[1:3])
        turned = rotary.rotate(inputs[3], cos, sin)
        into = [above, above, turned.detach().sin()]
        gradients = torch.autograd.grad([normed, gated, turned], inputs, into)
        return [one.detach().float() for one in (normed, gated, turned, *gradients)]

    for plain, compiled in both_ways(work):
        assert compiled.shape == plain.shape
        assert float((compiled - plain).norm() / plain.norm()) < 1e-2


@pytest.mark.parametrize("checkpointing", ["no", "yes"])
def test_a_run_learns_the_same_from_its_first_step_on(
    ready_home: Home, tiny_model: Path, checkpointing: str
) -> None:
    wanted = recipe(tiny_model, epochs=1, dtype=FORMAT, gradient_checkpointing=checkpointing)
    wanted = msgspec.structs.replace(wanted, lora=LoraPart(rank=8, alpha=16.0, dropout=0.05))
    compiled, from_step = course(ready_home, wanted)
    assert from_step == 0
    settings.save(ready_home, settings.Settings(without="pieces"))
    plain, from_step = course(ready_home, wanted)
    assert from_step is None
    assert compiled == pytest.approx(plain, rel=1e-2)
    assert compiled != plain


def test_a_long_run_is_compiled_in_its_middle_and_resumes_to_the_bit(
    home: Home, made: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compile_(self: compiling.Compiling, name: str) -> Path:
        compiled.append(name)
        return made

    monkeypatch.setattr(native, "_known", {})
    monkeypatch.setattr(compiling.Compiling, "_compile", compile_)
    monkeypatch.setattr(compiling, "LONG_SECONDS", 0.0)
    wanted = recipe(tiny_model, epochs=2, dtype=FORMAT)
    whole, from_step = course(home, wanted)
    assert (from_step, compiled) == (3, [FORMAT])

    folder = run_folder(home, wanted)
    train.run(told(context_of(home, folder), 5, commands.Pause()))
    monkeypatch.setattr(native, "_known", {})
    monkeypatch.setattr(compiling, "LONG_SECONDS", 1e9)  # decided once
    train.run(context_of(home, folder, commands.Train(resume=True)))
    assert losses(folder) == whole


def test_a_short_run_is_not_and_a_compiler_that_fails_ends_nothing(
    home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tiny_model, epochs=1)
    _, from_step = course(home, wanted)
    assert from_step == decided.NEVER

    def broken(*words: object) -> list[str | Path]:
        return ["python-that-is-not-there"]

    monkeypatch.setattr(children, "python", broken)
    settings.save(home, settings.Settings(also="pieces"))
    found, from_step = course(home, wanted)
    assert from_step == decided.NEVER
    assert len(found) == 5


def test_without_memory_for_it_a_run_goes_on_and_the_next_one_tries_again(
    home: Home, made: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(tiny_model, epochs=1, dtype=FORMAT)
    settings.save(home, settings.Settings(also="pieces"))
    monkeypatch.setattr(native, "_known", {})
    with monkeypatch.context() as short:
        short.setattr(compiler, "PEAK_BYTES", 1 << 60)
        short.setattr(compiling, "LONG_SECONDS", 0.0)
        folder = run_folder(home, wanted)
        train.run(context_of(home, folder))
    assert len(losses(folder)) == 5
    told_of = [note.text for note in said(folder, ev.Note) if "memory" in note.text]
    assert told_of == [compiling.NO_ROOM]
    assert decided.decided_before(JobFolder(folder)).compiled_from is None  # type: ignore[union-attr]

    monkeypatch.setattr(compiling.Compiling, "_compile", lambda self, name: made)
    _, from_step = course(home, wanted)
    assert from_step == 0


def test_libraries_stay_as_long_as_a_run_uses_them(ready_home: Home, tiny_model: Path) -> None:
    place = libraries.place_of(ready_home, FORMAT)
    os.utime(place, (0, 0))
    course(ready_home, recipe(tiny_model, epochs=1, dtype=FORMAT))
    assert time.time() - place.stat().st_mtime < libraries.UNUSED_SECONDS


def test_whole_layers_are_compiled_and_put_back(tiny_model: Path) -> None:
    """As on a card, but with a compiler that only traces."""
    from studio.engine import attach, load

    model = attach.make_trainable(
        load.load_model(tiny_model, torch.float32), recipe(tiny_model), ""
    )
    ids = torch.arange(4, 60)[None]

    def loss() -> float:
        return float(model(input_ids=ids, labels=ids, use_cache=False).loss.detach())

    plain, found = loss(), regions.of(model)
    assert found is not None
    with found.compiled("aot_eager"):
        assert loss() == pytest.approx(plain, rel=1e-5)
    assert all(layer._compiled_call_impl is None for layer in found._layers)


def course(home: Home, wanted: object) -> tuple[list[float | None], int | None]:
    """The losses of a run, and from which step on it was compiled."""
    folder = run_folder(home, wanted)  # type: ignore[arg-type]
    train.run(context_of(home, folder))
    written = msgspec.json.decode(JobFolder(folder).decided.read_bytes(), type=decided.Decided)
    assert said(folder, ev.Finished)
    return losses(folder), written.compiled_from
