"""Arguments, help, exit statuses, and what the command line never loads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from studio.__main__ import SCREENS
from studio.core import events
from studio.core.recipe import DatasetPart, ModelPart, Recipe
from studio.library import jobs, runs
from studio.library.folders import Home, JobFolder
from studio.library.locks import Lock
from tests.support.command_line import ROOT, ask, call, command

VERBS = [
    *("quickstart", "train", "resume", "stop", "pause", "save", "sample", "runs", "check"),
    *("estimate", "dataset", "models", "adapters", "chat", "chats", "merge", "settings", "doctor"),
]


def test_help_names_every_verb(home: Home) -> None:
    said = call(home, "--help")
    assert said.code == 0
    assert all(f"    {verb}" in said.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(home: Home, verb: str) -> None:
    said = call(home, verb, "--help")
    assert said.code == 0
    assert f"finetune-studio {verb}" in said.out
    assert "--json" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("train",),
        ("runs", "--frobnicate"),
        ("chat", "--seed", "x"),
        ("chat", "--seed", str(10**30)),
        ("chat", "--temperature", "nan"),
        ("chat", "--top-p", "1.5"),
        ("chat", "--4bit", "--16bit"),
        ("chats", "export", "x"),
        ("dataset", "sample", "--max-length", "-3"),
        ("estimate", "--model", "starter", "--max-length", "0"),
    ],
)
def test_wrong_usage_is_status_2(home: Home, arguments: tuple[str, ...]) -> None:
    said = ask(home, *arguments)
    assert said.code == 2
    assert said.error["title"] == "Wrong usage"
    people = call(home, *arguments)
    assert people.code == 2
    assert people.out == ""
    assert "usage: finetune-studio" in people.err


def test_an_error_is_a_sentence_and_a_fix(home: Home) -> None:
    said = call(home, "train", "nowhere.yaml")
    assert said.code == 1
    assert said.out == ""
    assert said.err.splitlines() == [
        "No such recipe: There is no file nowhere.yaml.",
        "Give the path of a recipe file.",
    ]


def test_the_home_may_be_named_before_the_verb(home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "studio", "--home", str(home.root), "runs", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == '{"result":[]}\n'


def test_a_reader_that_leaves_is_no_fault(home: Home) -> None:
    process = subprocess.Popen(
        command(home, "doctor", "--json"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1


def test_nothing_heavy_is_loaded() -> None:
    heavy = "torch transformers datasets peft pyarrow tokenizers huggingface_hub PySide6 numpy"
    code = (
        "import sys\n"
        "from studio.cli.program import parser\n"
        "parser()\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a screen")
def test_a_window_without_a_screen_is_a_sentence(home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "studio", "--home", str(home.root)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in SCREENS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("There is no screen here")


def test_the_process_is_chosen_before_anything_loads() -> None:
    code = (
        "import sys\n"
        "import studio.__main__\n"
        "print([name for name in ('msgspec', 'yaml', 'argparse') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_runs_shows_what_lives_not_what_the_log_last_said(home: Home) -> None:
    recipe = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))
    dead, taken_up = runs.create(home, recipe), runs.create(home, recipe)
    jobs.append(dead, events.Started(pid=1, total_steps=9, epochs=1.0))
    jobs.append(taken_up, events.Started(pid=1, total_steps=9, epochs=1.0))
    jobs.append(taken_up, events.Failed(title="Bad rows", text="There are bad rows.", fix=""))
    lock = Lock(JobFolder(taken_up).lock)
    assert lock.acquire()
    states = {row["name"]: row["state"] for row in ask(home, "runs").result}
    lock.release()
    assert states == {dead.name: "crashed", taken_up.name: "running"}


def test_nobody_is_sent_to_resume_what_is_finished(home: Home) -> None:
    recipe = Recipe(model=ModelPart(path="starter"), dataset=(DatasetPart(path="sample"),))
    folder = runs.create(home, recipe)
    jobs.append(folder, events.Started(pid=1, total_steps=9, epochs=1.0))
    jobs.append(folder, events.Finished(result={}))
    said = ask(home, "stop", folder.name)
    assert said.code == 1
    assert "nobody to tell" in said.error["text"]
    assert "resume" not in said.error["fix"]
