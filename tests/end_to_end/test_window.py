"""A person at a real window: real mouse, real keys, real processes, from launch to chat."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TypeVar

import pytest

from studio.core.events import Answered, Ended, Started, Step
from studio.library import jobs, models, runs
from studio.library.folders import Home
from tests.end_to_end import driver
from tests.end_to_end.driver import Control, Window
from tests.end_to_end.left import processes_of
from tests.end_to_end.screen import Screen
from tests.fakes.hub import serving
from tests.support import gguf_maker

AnEvent = TypeVar("AnEvent")

pytestmark = [pytest.mark.gui, pytest.mark.timeout(300)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A small dataset of chat rows."""
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"Note {n}: coffee with Ben."},
                {"role": "assistant", "content": json.dumps({"n": n, "name": "Ben"})},
            ]
        }
        for n in range(24)
    ]
    file = tmp_path / "notes.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return file


def choose(window: Window, rows: Path, epochs: int) -> None:
    """Through the wizard to its last step."""
    window.click("Tiny")
    window.click("Continue")
    window.write("Path of a dataset", str(rows))
    window.key("Return")
    window.wait_for("24 rows")
    window.click("Continue")
    window.click("LoRA")
    window.click("Continue")
    window.click("Quick look")
    window.write("Epochs", str(epochs))
    window.click("Continue")
    window.wait_for("Review and start", "notes.jsonl", "LoRA", f"{epochs} epochs")


def the_run(home: Home) -> Path:
    (run,) = home.runs.iterdir()
    return run


def heard(run: Path, kind: type[AnEvent]) -> AnEvent | None:
    """The last event of a kind in the run's log."""
    found = [event for event in jobs.read_events(run)[0] if isinstance(event, kind)]
    return found[-1] if found else None


def test_from_launch_to_chat(window: Window, home: Home, rows: Path) -> None:
    choose(window, rows, epochs=10)
    window.click("Start training")
    window.wait_for("Finished", "Step 20 of 20", seconds=120)
    ended = window.wait("the engine's end", lambda _: heard(the_run(home), Ended))
    assert ended.code == 0
    adapter = next(path for path in home.adapters.iterdir() if path.is_dir())

    window.click("Chat with it")
    window.write("Message", "Note 3: coffee with Ben.", "QPlainTextEdit")
    window.key("Return")
    window.wait_for("You: Note 3: coffee with Ben.")
    (chat,) = window.wait("a conversation", lambda _: list(home.jobs.glob("chat-*")))
    window.wait("both answers", lambda _: len(answers(chat)) == 2, seconds=120)
    shown = window.wait("both answers in view", lambda seen: cards(seen, answers(chat)))
    assert [name for name, _ in shown] == ["Bare model", adapter.name]
    assert answers(chat)[0] != answers(chat)[1]

    window.click("Library")
    window.click("Merge")
    window.wait_for(f"Merge {adapter.name}")
    window.click("Merge")
    window.wait_for("Passport", "Passed", seconds=120)
    window.click("Close")
    (merged,) = [path for path in home.models.iterdir() if path.name.endswith("-merged")]
    assert models.usable(merged)

    window.key("alt+F4")
    assert window.process.wait(20) == 0
    window.until("the engine of the conversation gone", lambda: not processes_of(chat))
    assert living(home) == []


def answers(chat: Path) -> list[str]:
    """What the sides of a conversation said, in their order."""
    found = [event for event in jobs.read_events(chat)[0] if isinstance(event, Answered)]
    return [event.text for event in sorted(found, key=lambda event: event.side)]


def cards(seen: list[Control], said: list[str]) -> list[tuple[str, str]]:
    """Who is shown with which answer, once all answers are shown whole; left to right."""
    found = []
    for text in said:
        found += [c for c in seen if c.type == "AnswerCard" and c.name.endswith(f": {text}")]
    found = sorted(set(found), key=lambda card: card.whole[0])
    return [(c.name.split(": ")[0], c.name) for c in found] if len(found) == len(said) else []


def living(home: Home) -> list[str]:
    """The folders of all jobs at work."""
    return [row.name for row in runs.listing(home) if row.living]


def test_a_killed_engine_is_told_within_two_seconds(window: Window, home: Home, rows: Path) -> None:
    choose(window, rows, epochs=5000)
    window.click("Start training")
    window.wait("a step", lambda _: list(home.runs.iterdir()) and heard(the_run(home), Step), 120)
    window.wait_for("Training", "Step ")
    started = heard(the_run(home), Started)
    assert started is not None
    assert started.pid in [process.pid for process in processes_of(the_run(home))]
    os.kill(started.pid, signal.SIGKILL)
    killed = time.monotonic()
    window.wait_for("The engine was killed", "Crashed", seconds=10)
    assert time.monotonic() - killed <= 2
    assert processes_of(the_run(home)) == []
    window.click("New run")
    window.wait_for("Choose a model")


def test_models_come_in_by_file_and_from_the_hub(
    display: Screen, home: Home, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = gguf_maker.write(tiny_model, tmp_path / "small one.gguf")
    with serving() as hub:
        hub.add("org/tiny", tiny_model)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with driver.opened(display, home, tmp_path) as window:
            window.click("Drop a model folder", kind="")
            window.wait("the file dialog", lambda _: window.active == "Import a GGUF file")
            window.screen.type(str(file))
            window.key("Return")
            window.wait_for("small one", "106,816 parameters", seconds=120)

            window.write("Search the Hugging Face hub", "tiny")
            window.key("Return")
            window.wait_for("org/tiny")
            window.click("Download")
            target = models.hub_folder(home, "org/tiny")
            window.wait("the download", lambda _: models.usable(target), seconds=60)
    assert {facts.name for facts in models.listing(home)} == {"small one", "org/tiny"}
