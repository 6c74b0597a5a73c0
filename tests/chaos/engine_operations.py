"""What the engine writes, one operation each; models and adapters are real and tiny."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import nn

from studio.core.commands import Export, Import, Merge, Mix
from studio.core.mixing import Ingredient
from studio.core.mixing import Mix as Recipe
from studio.engine import convert, decided, failures, merge, mix, save, setup
from studio.engine.checkpoint import Checkpoints, Progress
from studio.engine.control import Control
from studio.engine.export import job as exports
from studio.engine.job import Context
from studio.library import adapters, files, models
from studio.library.folders import Home
from tests.chaos.disk import Operation
from tests.engine import making
from tests.support import engines, gguf_maker, tiny_model
from tests.support.adapter_files import write_adapter


def explains(error: BaseException, fault: str) -> bool:
    """A full disk is always told as one; libraries have a type of their own for the rest."""
    return fault != "no space" or failures.disk_full(error) is not None


def progress(step: int) -> Progress:
    return Progress(step=step, best_step=step - step % 2, best_loss=1.0)


def learner(step: int) -> tuple[nn.Linear, dict[str, torch.optim.Optimizer]]:
    """Something that has learnt for so many steps."""
    torch.manual_seed(0)
    model = nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(step):
        model(torch.ones(1, 8)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, {"optimizer": optimizer}


def save_step(folder: Path, step: int) -> None:
    model, parts = learner(step)
    Checkpoints(folder / "checkpoints").save(model, parts, progress(step))  # type: ignore[arg-type]


def save_best(folder: Path, step: int) -> None:
    Checkpoints(folder / "checkpoints").save_best(learner(step)[0], progress(step))


def three_saved(folder: Path) -> None:
    for step in (1, 2, 3):
        if step % 2 == 0:
            save_best(folder, step)
        save_step(folder, step)


def save_other(folder: Path) -> None:
    """The newest step once more, with other numbers in it."""
    model, parts = learner(3)
    again = msgspec.structs.replace(progress(3), tokens=9)
    Checkpoints(folder / "checkpoints").save(model, parts, again)  # type: ignore[arg-type]


def newest(folder: Path) -> object:
    """What resuming finds: how far, weights, momenta and the best weights."""
    store = Checkpoints(folder / "checkpoints")
    path, damaged = store.newest()
    if path is None:
        return damaged
    model, parts = learner(0)
    found = store.restore(path, model, parts)  # type: ignore[arg-type]
    best = learner(0)[0]
    has_best = store.restore_best(best, found) if found.best_step else None
    state = parts["optimizer"].state_dict()["state"]
    momenta = [value.tolist() for each in state.values() for value in each.values()]
    kept = best.weight.tolist() if has_best else has_best
    return found.step, found.tokens, model.weight.tolist(), momenta, kept, damaged


def best_of_three(folder: Path) -> object:
    model = learner(0)[0]
    found = Checkpoints(folder / "checkpoints").restore_best(model, progress(4))
    return found and model.weight.tolist()


@dataclass
class Trained:
    """A run that is set up, in this process and all that it forks."""

    context: Context
    setup: setup.Setup


_trained: dict[Path, Trained] = {}


def set_up(folder: Path, method: str) -> None:
    home = Home(folder / "studio home").make()
    model = tiny_model.build(home.models / "tiny")
    run = making.run_folder(home, making.recipe(model, method), train=8, evaluate=4)
    context = making.context_of(home, run)
    _trained[folder] = Trained(context, setup.make(context, Control(context.channel)))


def publish(folder: Path) -> None:
    known = _trained[folder]
    save.publish(known.setup, known.context, "mine", Progress(step=3))


def clear_up_and(act: Callable[[Path], None]) -> Callable[[Path], None]:
    """As a run that is taken up does."""

    def again(folder: Path) -> None:
        save.clear_up(_trained[folder].context)
        act(folder)
        assert not list(folder.rglob(f"{files.PARTIAL}*"))

    return again


def published(folder: Path) -> object:
    """The library, and the hashes of its weights."""
    home = Home(folder / "studio home")
    rows = [(row.name, row.problem, row.run) for row in adapters.listing(home)]
    found = [(row.name, bool(row.problems)) for row in models.listing(home)]
    return rows, sorted(found), weights(home.adapters), weights(home.models)


def weights(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
        if files.PARTIAL not in str(path)
    }


def decide(folder: Path, threads: int) -> None:
    known = _trained[folder]
    decided.remember(
        known.context.folder, msgspec.structs.replace(known.setup.decided, threads=threads)
    )


def finish(folder: Path) -> None:
    set_up(folder, "lora")
    remember(folder, "old")


def remember(folder: Path, name: str) -> None:
    save.remember(_trained[folder].context.folder, {"adapter": str(folder), "name": name})


def to_merge(folder: Path) -> None:
    home = Home(folder / "studio home").make()
    write_adapter(home.adapters / "mine", size=0.1)
    tiny_model.build(home.models / "tiny")


def merge_it(folder: Path) -> None:
    home = Home(folder / "studio home")
    out = home.models / "merged"
    files.sweep_partials(out.parent, out.name)  # as the keeper does after an engine
    if not out.exists():
        job = Merge(
            adapter=str(home.adapters / "mine"), base=str(home.models / "tiny"), out=str(out)
        )
        context = engines.context_of(home, job)
        merge.merge(home, job, merge.Teller(context))


def export_as(format: str) -> Callable[[Path], None]:
    def export_it(folder: Path) -> None:
        home = Home(folder / "studio home")
        out = folder / "exports" / format
        files.sweep_partials(out.parent, out.name)
        if not out.exists():
            adapter, model = home.adapters / "mine", home.models / "tiny"
            job = Export(
                format=format, out=str(out), model=str(model), adapter=str(adapter), check="none"
            )
            exports.export(home, job, exports.Teller(engines.context_of(home, job)))

    return export_it


def exported(folder: Path) -> object:
    """Weights, and whether what belongs beside them is there: nothing of a part of an export."""
    place = folder / "exports"
    names = sorted(
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if files.PARTIAL not in str(path)
    )
    return names, weights(place)


def to_mix(folder: Path) -> None:
    to_merge(folder)
    write_adapter(Home(folder / "studio home").adapters / "other", size=0.2)


def mix_it(folder: Path) -> None:
    home = Home(folder / "studio home")
    out = folder / "exports" / "both"
    files.sweep_partials(out.parent, out.name)
    if not out.exists():
        parts = tuple(Ingredient(adapter=str(home.adapters / name)) for name in ("mine", "other"))
        job = Mix(mix=Recipe(adapters=parts), out=str(out))
        context = engines.context_of(home, job)
        files.sweep_partials(context.folder.path)
        mix.mix(context, job, mix.Teller(context))


def to_convert(folder: Path) -> None:
    Home(folder / "studio home").make()
    model = tiny_model.build(folder / "tiny")
    gguf_maker.write(model, folder / "tiny.gguf")


def convert_it(folder: Path) -> None:
    home = Home(folder / "studio home")
    out = home.models / "read"
    files.sweep_partials(out.parent, out.name)
    if not out.exists():
        job = Import(source=str(folder / "tiny.gguf"), out=str(out), name="read")
        convert.run(engines.context_of(home, job))


def on_shelf(folder: Path) -> object:
    home = Home(folder / "studio home")
    found = [(row.name, bool(row.problems)) for row in models.listing(home)]
    return sorted(found), weights(home.models)


_PLAIN = [
    Operation(
        "a first checkpoint", lambda folder: None, lambda folder: save_step(folder, 1), newest
    ),
    Operation(
        "a checkpoint, others thinned", three_saved, lambda folder: save_step(folder, 4), newest
    ),
    Operation(
        "a checkpoint of the same step",
        three_saved,
        save_other,
        newest,
    ),
    Operation("the best weights", three_saved, lambda folder: save_best(folder, 4), best_of_three),
    Operation(
        "going back behind checkpoints",
        three_saved,
        lambda folder: Checkpoints(folder / "checkpoints").drop_from(3),
        newest,
    ),
    Operation(
        "an adapter published",
        lambda folder: set_up(folder, "lora"),
        publish,
        published,
        again=clear_up_and(publish),
    ),
    Operation(
        "a model published",
        lambda folder: set_up(folder, "full"),
        publish,
        published,
        again=clear_up_and(publish),
    ),
    Operation(
        "decided.json",
        lambda folder: set_up(folder, "lora"),
        lambda folder: decide(folder, 7),
        lambda folder: decided.decided_before(_trained[folder].context.folder),
    ),
    Operation(
        "result.json",
        finish,
        lambda folder: remember(folder, "new"),
        lambda folder: save.remembered(_trained[folder].context.folder),
    ),
    Operation("a merged model", to_merge, merge_it, on_shelf),
    Operation("a GGUF file read", to_convert, convert_it, on_shelf),
    Operation("an adapter exported", to_merge, export_as("adapter"), exported),
    Operation("a model exported in 4 bits", to_merge, export_as("nf4"), exported),
    Operation("a 4-bit base exported", to_merge, export_as("nf4-adapter"), exported),
    Operation("a mix baked", to_mix, mix_it, exported),
]

OPERATIONS = [dataclasses.replace(each, explains=explains) for each in _PLAIN]
