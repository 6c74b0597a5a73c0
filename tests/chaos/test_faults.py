"""Whatever a disk does in the middle of a write: what is there is the old or the new, and whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.calls import writers

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "fakes" / "disk.c"
MODULES = {"library": 10_000, "preparer": 3, "engine": 3}
"""Whose writes, and how many calls of each operation are tried in the suite."""

NOT_TRIED = {
    "studio/cli/verbs/estimate.py": "write_whole of a recipe under a new name",
    "studio/client/actions/measuring.py": "a recipe in a job's folder, thrown away afterwards",
    "studio/client/actions/starter.py": "files of the starter model, compared with their digests",
    "studio/client/actions/parts.py": "compared with its digest; half a part is installed anew",
    "studio/client/connection.py": "a log",
    "studio/client/lanes.py": "a log",
    "studio/client/pip.py": "pip's output; half an install is mended by the next",
    "studio/engine/fast/libraries.py": "an add_folder of what can be compiled again",
    "studio/engine/export/gguf_notes.py": "in the whole_folder of an export",
    "studio/engine/export/onnx.py": "in the whole_folder of an export",
    "studio/engine/llama_cpp/convert.py": "in the whole_folder of an export, gone afterwards",
    "studio/engine/llama_cpp/importance.py": "in the whole_folder of an export, gone afterwards",
    "studio/engine/llama_cpp/lora.py": "a temporary folder in the whole_folder of an export",
    "studio/engine/llama_cpp/rendering.py": "a log",
    "studio/engine/peaks.py": "the kernel's mark of a process, in /proc",
    "studio/engine/process.py": "a log",
    "studio/keeper/engine.py": "a log",
    "studio/keeper/guard.py": "write_whole of what may be forgotten",
    "studio/library/adapters/index.py": "write_whole of what is read again without it",
    "studio/library/locks.py": "a process id for people; the lock is the system's",
    "studio/library/models/tensors.py": "the file of an adapter that is being imported",
    "studio/library/serving.py": "write_whole; a key that can't be read is made anew",
    "studio/library/own_rows.py": "write_whole and append_line; an undo that can't be is refused",
    "studio/preparer/build.py": "in the add_folder of a dataset of ratings",
    "studio/preparer/cache.py": "compared with digests before it is used, and else made again",
    "studio/preparer/kept.py": "rows that can be made again; the folder is a whole_folder",
    "studio/preparer/renderer.py": "standard output",
    "studio/preparer/hub_datasets.py": "write_whole; the files are compared with their digests",
    "studio/preparer/hub_files.py": "parts of files, compared with their digests",
    "studio/preparer/packed.py": "a temporary file",
    "studio/preparer/serve.py": "standard output",
    "studio/ui/app.py": "times for a benchmark",
}
NO_WRITES = {
    "studio/engine/saving.py": "msgspec.structs.replace",
    "studio/ui/pages/mix/popup.py": "moves a widget",
    "studio/ui/widgets/messages.py": "moves a widget",
    "studio/ui/widgets/plot.py": "moves a widget",
    "studio/ui/widgets/plot_parts.py": "moves a widget",
}
IN_ANOTHER = {
    ("studio/engine/checkpoint.py", "Checkpoints.drop_after"),  # as drop_from
    ("studio/library/files.py", "_sweep"),  # clears up after each of them
    ("studio/library/mixing.py", "sweep_drafts"),  # remove_folder
    ("studio/library/trash.py", "erase"),  # remove_folder
    ("studio/library/runs.py", "preparing"),  # remove_folder
    ("studio/library/runs.py", "sweep_unprepared"),  # remove_folder
    ("studio/preparer/hub.py", "_begin"),  # write_whole in a folder that has no name yet
}

Report = dict[str, Any]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands between a process and its disk."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("a disk with bad days needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("disk") / "disk.so"
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
    subprocess.run([compiler, *options, "-o", library, SOURCE, "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def tried(disk: Path) -> Callable[[str, int], list[Report]]:
    """Tries every operation of a module; once, however often it is asked for."""
    known: dict[tuple[str, int], list[Report]] = {}

    def once(module: str, most: int) -> list[Report]:
        if (module, most) not in known:
            known[module, most] = _try(disk, module, most)
        return known[module, most]

    return once


def _try(disk: Path, module: str, most: int) -> list[Report]:
    words = ["-m", "tests.chaos.disk", f"tests.chaos.{module}_operations", "--most", str(most)]
    environment = os.environ | {
        "LD_PRELOAD": str(disk),
        "OMP_NUM_THREADS": "1",
        "QT_QPA_PLATFORM": "offscreen",
    }
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def judge(reports: list[Report]) -> None:
    for report in reports:
        print(f"{report['name']}: {report['calls']} calls, {report['cases']} faults")
    wrong = [f"{report['name']}: {text}" for report in reports for text in report["wrong"]]
    assert wrong == []
    assert all(report["cases"] for report in reports)


@pytest.mark.parametrize("module", MODULES)
def test_the_old_or_the_new(tried: Callable[[str, int], list[Report]], module: str) -> None:
    judge(tried(module, MODULES[module]))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("module", MODULES)
def test_the_old_or_the_new_at_every_call(
    tried: Callable[[str, int], list[Report]], module: str
) -> None:
    judge(tried(module, 100_000))


def test_no_place_that_writes_is_untried(tried: Callable[[str, int], list[Report]]) -> None:
    ran = {
        tuple(each)
        for module, most in MODULES.items()
        for report in tried(module, most)
        for each in report["ran"]
    }
    known = set(NOT_TRIED) | set(NO_WRITES)
    untried = {where for where in writers() - ran - IN_ANOTHER if where[0] not in known}
    assert untried == set()
    files = {file for file, _ in writers()}
    assert known | {file for file, _ in IN_ANOTHER} <= files
