"""The preparer as a process: asked, cancelled, hung, killed, ended with whoever asked."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from studio.client.cancelled import Cancelled, Fault
from studio.client.preparer import Preparer
from studio.core import preparing as wire
from studio.core.errors import StudioError
from studio.core.hub import HubModel
from studio.core.recipe import DataPart, DatasetPart, ModelPart, Recipe
from studio.library.folders import Home

SAMPLE = (DatasetPart(path="sample"),)
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
HEAVY = {"torch", "transformers", "datasets", "PySide6"}


@pytest.fixture
def endless(tiny_model: Path, tmp_path: Path) -> Path:
    """A model whose chat template never comes to an end."""
    folder = shutil.copytree(tiny_model, tmp_path / "endless")
    (folder / "chat_template.jinja").write_text(ENDLESS, encoding="utf-8")
    return folder


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "preparer" in p.cmdline()]


def test_every_question_has_its_answer_from_warm_processes(
    home: Home, tiny_model: Path, tmp_path: Path
) -> None:
    heard: list[tuple[str, float | None]] = []
    with Preparer(home) as preparer:
        report = preparer.inspect(SAMPLE, tiny_model, on_progress=lambda *told: heard.append(told))
        assert report.usable_rows == 440
        assert ("Reading train.jsonl", pytest.approx(0.1, abs=0.05)) in heard
        first = children()
        (example,) = preparer.examples(SAMPLE, tiny_model, DataPart(), start=2, count=1)
        assert example.row == 3
        recipe = Recipe(model=ModelPart(path="x"), dataset=SAMPLE)
        assert preparer.prepare(tmp_path / "run", recipe, tiny_model).train_rows == 396
        assert (tmp_path / "run" / "data" / "train.arrow").exists()
        assert preparer.token_count(tiny_model, "<|im_end|>") == 1
        chat = [{"role": "user", "content": "hi"}]
        assert preparer.token_count(tiny_model, messages=chat) > 4
        assert set(first) < set(children())
        assert (len(first), len(children())) == (1, 2)
    assert children() == []


def test_what_is_quick_is_answered_while_a_dataset_is_read(home: Home, tiny_model: Path) -> None:
    answers = list[object]()

    def ask(*_: object) -> None:
        if not answers:
            answers.append(preparer.peek(SAMPLE[0]).columns)
            answers.append(preparer.examples(SAMPLE, tiny_model, count=1)[0].row)

    with Preparer(home) as preparer:
        assert preparer.inspect(SAMPLE, tiny_model, on_progress=ask).rows == 440
    assert answers == [("messages",), 1]


def test_a_question_that_waits_for_another_can_be_cancelled(home: Home, tiny_model: Path) -> None:
    ended = list[BaseException]()

    def ask(*_: object) -> None:
        if not ended:
            with pytest.raises(Cancelled) as caught:
                preparer.inspect(SAMPLE, tiny_model, cancelled=lambda: True)
            ended.append(caught.value)

    with Preparer(home) as preparer:
        assert preparer.inspect(SAMPLE, tiny_model, on_progress=ask).rows == 440
    assert ended


def test_errors_come_through_whole_and_the_process_stays(home: Home, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "hi", "completion": ""}', encoding="utf-8")
    with Preparer(home) as preparer:
        with pytest.raises(StudioError, match="Dataset not found") as caught:
            preparer.inspect((DatasetPart(path="nowhere.jsonl"),))
        assert caught.value.fix
        before = children()
        recipe = Recipe(
            model=ModelPart(path="x"), dataset=(DatasetPart(path=str(tmp_path / "a.jsonl")),)
        )
        with pytest.raises(StudioError, match="no tokenizer"):
            preparer.prepare(tmp_path / "run", recipe, tmp_path)
        assert children() == before


def test_a_template_that_never_ends_is_killed_and_said(home: Home, endless: Path) -> None:
    with Preparer(home, silence=3) as preparer:
        with pytest.raises(StudioError, match="chat template that never comes to an end") as caught:
            preparer.inspect(SAMPLE, endless)
        assert caught.value.title == "Preparing hangs"
        assert children() == []
        assert preparer.inspect(SAMPLE).rows == 440


def test_cancel_ends_even_what_hangs(home: Home, endless: Path) -> None:
    told = threading.Event()
    with Preparer(home) as preparer, pytest.raises(Cancelled):
        preparer.inspect(SAMPLE, endless, on_progress=lambda *_: told.set(), cancelled=told.is_set)
    assert told.is_set()


def test_cancel_of_a_well_behaved_question_keeps_the_process(
    home: Home, tiny_model: Path, tmp_path: Path
) -> None:
    rows = '{"prompt": "hi there", "completion": "yes"}\n' * 40_000
    (tmp_path / "a.jsonl").write_text(rows, encoding="utf-8")
    part = (DatasetPart(path=str(tmp_path / "a.jsonl")),)
    heard = list[float | None]()
    with Preparer(home) as preparer:
        with pytest.raises(Cancelled):
            preparer.inspect(
                part,
                tiny_model,
                on_progress=lambda _, share: heard.append(share),
                cancelled=lambda: len(heard) > 3,  # nothing is starting up any more
            )
        (before,) = children()
        assert preparer.inspect(SAMPLE).rows == 440
        assert children() == [before]


def test_a_crash_is_a_sentence_and_the_next_question_works(home: Home, endless: Path) -> None:
    with Preparer(home) as preparer:
        with pytest.raises(Fault, match=r"preparer\.log"):
            preparer.inspect(SAMPLE, endless, on_progress=lambda *_: children()[0].kill())
        assert preparer.inspect(SAMPLE).rows == 440


def test_closing_ends_a_question_of_another_thread(home: Home, endless: Path) -> None:
    told, ended = threading.Event(), list[BaseException]()
    preparer = Preparer(home)

    def ask() -> None:
        try:
            preparer.inspect(SAMPLE, endless, on_progress=lambda *_: told.set())
        except StudioError as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert told.wait(30)
    preparer.close()
    asking.join(30)
    assert isinstance(ended[0], Cancelled)
    with pytest.raises(Cancelled):
        preparer.inspect(SAMPLE)


def test_the_process_ends_with_its_standard_input_even_in_the_middle_of_work(
    home: Home, endless: Path
) -> None:
    command = [sys.executable, "-m", "studio", "preparer", "--home", str(home.root)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        ask = b'{"ask":"inspect","id":1,"dataset":[{"path":"sample"}],"model":"%s"}\n'
        process.stdin.write(b"nonsense\n" + ask % str(endless).encode())
        process.stdin.flush()
        assert b'"progress"' in process.stdout.readline()
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_silent_hub_is_not_blamed_on_a_template(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with Preparer(home) as preparer:
            with pytest.raises(StudioError, match="The hub doesn't answer"):
                preparer.ask(wire.HubSearch, list[HubModel], silence=2, text="tiny")
            assert preparer.inspect(SAMPLE).rows == 440


def test_an_unreachable_hub_is_a_sentence(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with Preparer(home) as preparer, pytest.raises(StudioError) as caught:
        preparer.hub_search("tiny")
    assert not isinstance(caught.value, Fault)
    assert caught.value.fix


def test_it_loads_neither_torch_nor_qt(home: Home, tiny_model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from studio.core.recipe import *;"
        "from studio.preparer import serve, report, prepare, lens;"
        f"report.inspect((DatasetPart(path='sample'),), Path({str(tiny_model)!r}), DataPart());"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_a_question_that_can_not_be_read_is_answered_at_once(home: Home) -> None:
    with Preparer(home, silence=20.0) as preparer, pytest.raises(Fault, match="unforeseen"):
        preparer.inspect(SAMPLE, None, DataPart(max_length=-3))
