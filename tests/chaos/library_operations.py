"""What the library and its neighbours write, one operation each."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from studio.client.actions import models as importing
from studio.core import commands, events
from studio.core.calibration import Calibration, CalibrationKey
from studio.core.chats import Answer, Kept, Turn
from studio.core.facts import Gpu
from studio.core.mixing import Ingredient, Mix
from studio.core.own_sets import Rating
from studio.core.queue import Queue
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.core.run_state import replay
from studio.core.speed import Speed, SpeedKey
from studio.library import (
    adapters,
    calibrations,
    chat_export,
    chats,
    files,
    jobs,
    mixing,
    models,
    queue,
    ratings,
    rendezvous,
    runs,
    seen_cards,
    settings,
    speeds,
    trash,
)
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home, JobFolder
from studio.library.settings import Settings
from studio.ui.pages.new_run import keeping
from tests.chaos.disk import Operation
from tests.support import gguf_adapter, tiny_model
from tests.support.adapter_files import write_adapter

RECIPE = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),), name="one")


def home(folder: Path) -> Home:
    return Home(folder / "studio home")


def new_home(folder: Path) -> Home:
    return home(folder).make()


def nothing(_: Path) -> None:
    """There is nothing before."""


def content(folder: Path) -> dict[str, bytes]:
    """Every whole file below, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and files.PARTIAL not in str(path.relative_to(folder))
    }


def fill(folder: Path, text: str) -> None:
    """Three files, one of them deeper."""
    (folder / "deeper").mkdir()
    for name in ("one", "two", "deeper/three"):
        (folder / name).write_bytes(f"{text} {name}".encode() * 3000)


def fill_whole(folder: Path, text: str) -> None:
    with files.whole_folder(folder / "it") as inside:
        fill(inside, text)


def swept(folder: Path) -> dict[str, bytes]:
    """What an owner reads: it clears up first."""
    files.sweep_partials(folder)
    return content(folder)


def begin_run(folder: Path) -> Path:
    path = new_home(folder).runs / "one"
    path.mkdir()
    files.write_whole(JobFolder(path).recipe, "name: one\n")
    return jobs.create(home(folder), commands.Train(), path)


def known(folder: Path) -> list[object]:
    """The events of the run; one that can't be read is a remark."""
    found = jobs.read_events(home(folder).runs / "one")[0]
    return [e for e in found if not isinstance(e, events.Note) or e.text == "heard"]


def hear(folder: Path) -> None:
    jobs.append(home(folder).runs / "one", events.Note(time=1.0, text="heard"))


def hear_once(folder: Path) -> None:
    """Say it unless it is in the log."""
    if not any(isinstance(event, events.Note) for event in known(folder)):
        hear(folder)


def told(folder: Path) -> bool:
    """Whether the pause can be read; the engine passes over lines that can't be."""
    for line in files.read_lines(JobFolder(home(folder).runs / "one").commands)[0]:
        with contextlib.suppress(msgspec.MsgspecError):
            return isinstance(commands.command_decoder.decode(line), commands.Pause)
    return False


def listed(folder: Path) -> list[tuple[str, str, str]]:
    rows = runs.listing(home(folder))
    return [(row.name, row.kind, replay(jobs.read_events(row.path)[0]).state) for row in rows]


def create_run(folder: Path) -> None:
    runs.create(home(folder), RECIPE)


def once(folder: Path) -> None:
    """Create the run unless it is there."""
    if not runs.listing(home(folder)):
        create_run(folder)


def measured(ratio: float) -> Calibration:
    key = CalibrationKey(device="A card", driver="1.0", kernel="lora")
    return Calibration(key=key, ratio=ratio, peak_bytes=3, expected_bytes=2)


def measure(folder: Path) -> None:
    """Nobody but this test asks whether it could be kept."""
    if not calibrations.remember(home(folder), measured(2.5)):
        raise OSError("not kept")


def measure_once(folder: Path) -> None:
    """Remember it unless it is there."""
    if measured(2.5) not in calibrations.kept(home(folder)):
        measure(folder)


def timed(flops: float) -> Speed:
    return Speed(key=SpeedKey(device="A card"), flops=flops)


def time(folder: Path) -> None:
    if not speeds.remember(home(folder), timed(2.0)):
        raise OSError("not kept")


def time_once(folder: Path) -> None:
    """Remember it unless it is there."""
    if timed(2.0) not in speeds.kept(home(folder)):
        time(folder)


def see(folder: Path, name: str) -> None:
    card = Gpu(index=0, name=name, total_bytes=9, used_bytes=1, free_bytes=8, vendor="amd")
    seen_cards.save(home(folder), (card,))


def trashed(folder: Path) -> tuple[list[str], list[str]]:
    here = home(folder)
    return [row.name for row in runs.listing(here)], [e.name for e in trash.listing(here)]


def trash_run(folder: Path) -> None:
    if (home(folder).runs / "one").exists():
        runs.delete(home(folder), home(folder).runs / "one")


def deleted_run(folder: Path) -> None:
    begin_run(folder)
    trash_run(folder)


def restore_run(folder: Path) -> None:
    for entry in trash.listing(home(folder)):
        trash.restore(msgspec.structs.replace(entry, origin=str(home(folder).runs / "one")))


def rename_run(folder: Path) -> None:
    if (home(folder).runs / "one").exists():
        runs.rename(home(folder), home(folder).runs / "one", "two")


def trained_adapter(folder: Path) -> None:
    new_home(folder)
    write_adapter(folder / "trained", size=1.0)


def add_adapter(folder: Path) -> None:
    adapters.add(home(folder), folder / "trained", "mine", AdapterFacts(run="one", created_at=1.0))


def archived_adapter(folder: Path) -> None:
    trained_adapter(folder)
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        for file in (folder / "trained").iterdir():
            archive.write(file, f"mine/{file.name}")


def gguf_elsewhere(folder: Path) -> None:
    model = tiny_model.build(new_home(folder).models / "tiny")
    gguf_adapter.write(write_adapter(folder / "trained", size=1.0), model, folder / "mine.gguf")


def import_it(name: str) -> Callable[[Path], None]:
    """Once, for what is imported twice is there twice."""

    def take(folder: Path) -> None:
        here = home(folder)
        if not adapters.listing(here):
            base = here.models / "tiny"
            adapters.import_path(here, folder / name, base if base.is_dir() else None)

    return take


def draft_mix(folder: Path) -> None:
    told = tuple(Ingredient(adapter=str(folder / "trained"), weight=w) for w in (0.5, 0.25))
    mixing.draft(home(folder), Mix(adapters=told))


def drafts(folder: Path) -> list[object]:
    """Their recipes as Chat reads them."""
    place = home(folder).cache / "mixes"
    found = [each for each in place.glob("*") if files.PARTIAL not in each.name]
    return [
        (each.name, mixing.read(each), sorted(p.name for p in each.iterdir())) for each in found
    ]


def shelf(folder: Path) -> list[tuple[str, str, str]]:
    return [(a.name, a.problem, Path(a.path).name) for a in adapters.listing(home(folder))]


def added_adapter(folder: Path) -> None:
    trained_adapter(folder)
    add_adapter(folder)


def rename_adapter(folder: Path) -> None:
    adapters.rename(home(folder), home(folder).adapters / "mine", "yours")


def model_elsewhere(folder: Path) -> None:
    new_home(folder)
    tiny_model.build(folder / "tiny")


def import_model(folder: Path) -> None:
    if not model_names(folder):
        importing.import_folder(home(folder), folder / "tiny")


def model_names(folder: Path) -> list[tuple[str, bool]]:
    rows = models.listing(home(folder))
    return [(Path(row.path).name, any(p.severity == "error" for p in row.problems)) for row in rows]


def a_door(key: bytes) -> rendezvous.Door:
    return rendezvous.Door(address="/nowhere", key=key, pid=1)


def stamped(folder: Path) -> bool:
    return home(folder).stamp.exists() and home(folder)._format() > 0


def broken_queue(folder: Path) -> None:
    new_home(folder).queue.write_bytes(b"rubbish")


def set_queue_aside(folder: Path) -> None:
    if home(folder).queue.exists():
        queue.set_aside(home(folder))


RATING = Rating(
    answer="1", messages=({"role": "user", "content": "hi"},), text="hello", rating="up", time=1.0
)


def rate(folder: Path) -> None:
    ratings.rate(home(folder), RATING)


def rated(folder: Path) -> None:
    new_home(folder)
    rate(folder)


def build_set(folder: Path) -> None:
    if not built(folder):
        ratings.build(home(folder), "mine")


def built(folder: Path) -> list[str]:
    found = home(folder).datasets.glob("mine*/rows.jsonl")
    return [path.read_text("utf-8") for path in found]


def talk(folder: Path, *questions: str) -> None:
    """A conversation with these questions, saved."""
    kept = Kept(id="one-talk")
    for number, question in enumerate(questions):
        answer = Answer(side="", name="Bare", text="yes " * 3000, stage="done")
        kept.add(Turn(id=str(number), question=question, parent=kept.at, answers=[answer]))
    chats.save(home(folder), kept)


def talked(folder: Path) -> list[list[str]]:
    found = [chats.load(home(folder), entry.id) for entry in chats.listing(home(folder))]
    return [[turn.question for turn in kept.path()] for kept in found]


def begun_talk(folder: Path) -> None:
    new_home(folder)
    talk(folder, "first")


def trashed_talk(folder: Path) -> tuple[list[list[str]], list[str]]:
    return talked(folder), [entry.title for entry in trash.listing(home(folder))]


def delete_talk(folder: Path) -> None:
    if talked(folder):
        chats.delete(home(folder), "one-talk")


def export_talk(folder: Path) -> None:
    kept = chats.load(home(folder), "one-talk")
    chat_export.write(kept, folder / "out.jsonl", replace=True)


OPERATIONS = [
    Operation("a conversation begun", new_home, lambda folder: talk(folder, "first"), talked),
    Operation(
        "a conversation gone on with",
        begun_talk,
        lambda folder: talk(folder, "first", "second"),
        talked,
    ),
    Operation("a conversation deleted", begun_talk, delete_talk, trashed_talk),
    Operation(
        "a conversation exported",
        begun_talk,
        export_talk,
        lambda folder: (folder / "out.jsonl").is_file() and (folder / "out.jsonl").read_bytes(),
    ),
    Operation("an answer rated", new_home, rate, lambda folder: ratings.collected(home(folder))),
    Operation("a dataset of ratings", rated, build_set, built),
    Operation("a home", nothing, new_home, stamped),
    Operation(
        "a broken queue set aside",
        broken_queue,
        set_queue_aside,
        lambda folder: sorted(path.name[:17] for path in home(folder).root.glob("queue*")),
    ),
    Operation(
        "a new file",
        nothing,
        lambda folder: files.write_whole(folder / "it", b"new" * 3000),
        content,
    ),
    Operation(
        "a file replaced",
        lambda folder: files.write_whole(folder / "it", b"old"),
        lambda folder: files.write_whole(folder / "it", b"new" * 3000),
        content,
    ),
    Operation("a new folder", nothing, lambda folder: fill_whole(folder, "new"), content),
    Operation(
        "a folder replaced",
        lambda folder: fill_whole(folder, "old"),
        lambda folder: fill_whole(folder, "new"),
        swept,
    ),
    Operation(
        "a folder removed",
        lambda folder: fill_whole(folder, "old"),
        lambda folder: files.remove_folder(folder / "it"),
        content,
    ),
    Operation("an event", begin_run, hear, known, again=hear_once),
    Operation(
        "a command",
        begin_run,
        lambda folder: jobs.tell(home(folder).runs / "one", commands.Pause()),
        told,
    ),
    Operation(
        "job.json",
        begin_run,
        lambda folder: jobs.set_job(home(folder).runs / "one", commands.Train(resume=True)),
        lambda folder: jobs.job_of(home(folder).runs / "one"),
    ),
    Operation("a run created", new_home, create_run, listed, again=once),
    Operation("a run renamed", begin_run, rename_run, listed),
    Operation("a run deleted", begin_run, trash_run, trashed),
    Operation("a run restored", deleted_run, restore_run, trashed),
    Operation("an adapter added", trained_adapter, add_adapter, shelf),
    Operation("an adapter imported", trained_adapter, import_it("trained"), shelf),
    Operation("an archive imported", archived_adapter, import_it("packed.zip"), shelf),
    Operation("a GGUF adapter imported", gguf_elsewhere, import_it("mine.gguf"), shelf),
    Operation("a mix kept for Chat", trained_adapter, draft_mix, drafts),
    Operation("an adapter renamed", added_adapter, rename_adapter, shelf),
    Operation("a model imported", model_elsewhere, import_model, model_names),
    Operation(
        "settings",
        lambda folder: settings.save(new_home(folder), Settings(theme="light")),
        lambda folder: settings.save(home(folder), Settings(theme="dark")),
        lambda folder: settings.load(home(folder)),
    ),
    Operation(
        "a measurement",
        lambda folder: calibrations.remember(new_home(folder), measured(1.5)),
        measure,
        lambda folder: calibrations.kept(home(folder)),
        again=measure_once,
    ),
    Operation(
        "a speed",
        lambda folder: speeds.remember(new_home(folder), timed(1.0)),
        time,
        lambda folder: speeds.kept(home(folder)),
        again=time_once,
    ),
    Operation(
        "cards seen",
        lambda folder: see(new_home(folder).root.parent, "old"),
        lambda folder: see(folder, "new"),
        lambda folder: seen_cards.load(home(folder)),
    ),
    Operation(
        "the queue",
        lambda folder: queue.save(new_home(folder), Queue(waiting=("one",))),
        lambda folder: queue.save(home(folder), Queue(waiting=("two", "one"), running=True)),
        lambda folder: queue.load(home(folder)),
    ),
    Operation(
        "a draft",
        lambda folder: keeping.save(new_home(folder), {"name": "old"}),
        lambda folder: keeping.save(home(folder), {"name": "new"}),
        lambda folder: keeping.load(home(folder)),
    ),
    Operation(
        "a recipe saved elsewhere",
        lambda folder: keeping.save_recipe(folder / "mine.yaml", "name: old"),
        lambda folder: keeping.save_recipe(folder / "mine.yaml", "name: new"),
        lambda folder: yaml.safe_load((folder / "mine.yaml").read_text("utf-8")),
    ),
    Operation(
        "the keeper's door",
        lambda folder: rendezvous.write_door(new_home(folder), a_door(b"old")),
        lambda folder: rendezvous.write_door(home(folder), a_door(b"new")),
        lambda folder: rendezvous.read_door(home(folder)),
    ),
]
