"""The engine as a process: its lock, its log, its ends, and a kill in the middle of a run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from studio.core import events as ev
from studio.core.commands import Measure, Stop, Train
from studio.engine import train
from studio.library import jobs
from studio.library.files import PARTIAL
from studio.library.folders import Home, JobFolder
from studio.library.locks import Lock
from tests.engine.making import context_of, recipe, run_folder, said
from tests.engine.test_checkpoint import curve

PATIENCE = 120


@contextmanager
def engine(home: Home, folder: Path, before: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A real engine on a folder; `before` is Python that its process runs first."""
    code = f"{before}\nimport sys\nfrom studio.engine.__main__ import main\n"
    code += "sys.exit(main(sys.argv[1:]))"
    asked = ["--home", str(home.root), "--folder", str(folder)]
    command = [sys.executable, "-c", code, *asked]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(folder: Path, kind: type[ev.Event], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not said(folder, kind):
        assert process.poll() is None, JobFolder(folder).engine_log.read_text("utf-8")
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_run_killed_with_kill_9_resumes_to_the_same_numbers(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=30, save_every_minutes=1e-9)
    whole, folder = run_folder(home, wanted), run_folder(home, wanted)
    train.run(context_of(home, whole))
    with engine(home, folder) as process:
        wait_for(folder, ev.Saved, process)
        assert jobs.living(folder)
        # a lower priority cost 12 % of the speed beside an open window
        assert psutil.Process(process.pid).nice() == psutil.Process().nice()
        process.kill()
        process.wait()
    assert not jobs.living(folder)
    assert not said(folder, ev.Finished)
    jobs.set_job(folder, Train(resume=True))
    with engine(home, folder) as process:
        assert process.wait(PATIENCE) == 0
    assert 0 < said(folder, ev.Started)[-1].resumed_from < 30
    assert curve(folder) == curve(whole)


def test_what_is_printed_goes_to_the_log_and_a_fault_says_so(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    before = (
        "import studio.engine.__main__ as m, os\n"
        "def run(context):\n"
        "    print('from python'); os.write(2, b'from below\\n'); raise KeyError('surprise')\n"
        "import types, sys\n"
        "sys.modules['studio.engine.train'] = types.SimpleNamespace(run=run)\n"
    )
    with engine(home, folder, before) as process:
        assert process.wait(PATIENCE) == 3
    log = JobFolder(folder).engine_log.read_text("utf-8")
    assert "from python" in log
    assert "from below" in log
    assert "Traceback" in log
    failed = said(folder, ev.Failed)[0]
    assert failed.fault
    assert "surprise" in failed.text


def test_what_a_person_can_mend_is_exit_code_1(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model), train=1, evaluate=0)
    (folder / "data" / "train.arrow").unlink()
    with engine(home, folder) as process:
        assert process.wait(PATIENCE) == 1
    failed = said(folder, ev.Failed)[0]
    assert failed.title == "Nothing to train on"
    assert not failed.fault
    assert jobs.state(folder).state == "failed"


def test_a_second_engine_is_refused(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    lock = Lock(JobFolder(folder).lock)
    assert lock.acquire()
    with engine(home, folder) as process:
        assert process.wait(PATIENCE) == 1
    lock.release()
    assert said(folder, ev.Failed) == []


def test_measuring_ends_with_whoever_asked_for_it(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model))
    jobs.set_job(folder, Measure(steps=1_000_000))
    with engine(home, folder) as process:
        wait_for(folder, ev.Started, process)
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        process.wait(PATIENCE)
    assert said(folder, ev.Finished) == []


def test_training_outlives_whoever_asked_for_it(home: Home, tiny_model: Path) -> None:
    folder = run_folder(home, recipe(tiny_model, max_steps=100_000))
    with engine(home, folder) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        wait_for(folder, ev.Step, process)
        jobs.tell(folder, Stop())
        assert process.wait(PATIENCE) == 0
    assert said(folder, ev.Finished)[0].stopped


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't limit a file's size")
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(
    home: Home, tiny_model: Path
) -> None:
    """A limit on the size of files is how a system refuses to write without a full disk."""
    folder = run_folder(home, recipe(tiny_model, max_steps=2, eval_every=1))
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
    with engine(home, folder, limit) as process:
        assert process.wait(PATIENCE) == 1, JobFolder(folder).engine_log.read_text("utf-8")
    assert said(folder, ev.Failed)[0].title == "Disk is full"
    assert not list(home.adapters.iterdir())
    assert not list(home.models.iterdir())
    assert list(home.root.rglob(f"{PARTIAL}*")) == []
    for line in JobFolder(folder).events.read_bytes().splitlines():
        json.loads(line)
