"""What the preparer writes, one operation each."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from studio.core.facts import Prepared
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import files
from studio.preparer import prepare
from tests.chaos.disk import Operation
from tests.support import tiny_model

ROWS = 12


def dataset(folder: Path) -> None:
    tiny_model.build(folder / "tiny")
    lines = [json.dumps({"prompt": f"say {n}", "completion": f"it is {n}"}) for n in range(ROWS)]
    (folder / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    (folder / "run").mkdir()


def prepare_run(folder: Path) -> None:
    part = DatasetPart(path=str(folder / "rows.jsonl"))
    recipe = Recipe(model=ModelPart(path="tiny"), dataset=(part,))
    prepare.prepare(folder / "run", recipe, folder / "tiny")


def prepared(folder: Path) -> object:
    """The manifest, and every file beside it."""
    files.sweep_partials(folder / "run")
    data = folder / "run" / "data"
    if not (data / "manifest.json").exists():
        return [path.name for path in (folder / "run").iterdir()]
    manifest = msgspec.json.decode((data / "manifest.json").read_bytes(), type=Prepared)
    return manifest, {path.name: path.read_bytes() for path in sorted(data.glob("*.arrow"))}


def downloaded(folder: Path) -> None:
    """A model that is there, and a newer one of it that has come whole."""
    for name in ("model", ".download-model"):
        tiny_model.build(folder / name, seed=len(name))


def publish(folder: Path) -> None:
    if (folder / ".download-model").exists():
        files.put_in_place(folder / ".download-model", folder / "model")


def model(folder: Path) -> dict[str, bytes]:
    """As the next keeper leaves it, which clears up first."""
    files.sweep_partials(folder)
    return {path.name: path.read_bytes() for path in sorted((folder / "model").iterdir())}


OPERATIONS = [
    Operation("rows prepared", dataset, prepare_run, prepared),
    Operation("a download published", downloaded, publish, model),
]
