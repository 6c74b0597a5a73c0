"""A real engine that waited with its imports done does its job like a new one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.core import events as ev
from studio.engine import train
from studio.library import jobs
from studio.library.folders import Home, JobFolder
from tests.engine.making import context_of, recipe, run_folder, said
from tests.engine.test_checkpoint import curve

PATIENCE = 120
LOOK = """
import sys
from studio.engine import spare
warm = spare.warm
def look():
    warm()
    import os, torch
    assert not torch.cuda.is_initialized() and "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ
    print("warm", "studio.engine.train" in sys.modules, "peft" in sys.modules, flush=True)
    open(sys.argv[2] + "/warm", "w").close()
spare.warm = look
from studio.engine.__main__ import main
status = main(sys.argv[1:])
import os
print("asked for", os.environ["WANTED"], flush=True)
sys.exit(status)
"""


@contextmanager
def waiting(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """An engine that waits for its order."""
    command = [sys.executable, "-c", LOOK, "--home", str(home.root), "--spare"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_spare_trains_as_a_new_engine_does(home: Home, tiny_model: Path) -> None:
    wanted = recipe(tiny_model, max_steps=3)
    usual, folder = run_folder(home, wanted), run_folder(home, wanted)
    train.run(context_of(home, usual))
    with waiting(home) as process:
        order = {"folder": str(folder), "environment": {"WANTED": "this card"}}
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 0
    assert (home.root / "warm").exists()
    assert "warm True True" in (home.logs / "spare.log").read_text("utf-8")
    assert "asked for this card" in JobFolder(folder).engine_log.read_text("utf-8")
    assert curve(folder) == curve(usual)
    assert said(folder, ev.Started)[-1].pid == process.pid
    assert jobs.state(folder).state == "finished"


def test_a_spare_whose_keeper_is_gone_leaves_in_the_middle_of_its_imports(home: Home) -> None:
    with waiting(home) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(PATIENCE) == 0
    assert not (home.root / "warm").exists()
