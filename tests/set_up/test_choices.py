"""Which torch, which sentence, which program: what set-up decides."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import environment
import handover
import needs_python
import pytest
import stages
import system_libraries
import torch_build

PIN = "torch==2.13.0"
PYTHON = Path("/clone/.venv/bin/python")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one build")
@pytest.mark.parametrize(
    ("card", "reachable", "last"),
    [
        (True, True, ["-m", "uv", "pip", "install", "--torch-backend=auto", PIN]),
        (False, True, ["-m", "uv", "pip", "install", "--torch-backend=cpu", PIN]),
        (True, False, ["-m", "pip", "install", PIN]),
        (False, False, ["-m", "pip", "install", PIN]),
    ],
)
def test_the_build_of_torch(card: bool, reachable: bool, last: list[str]) -> None:
    commands = torch_build.commands(PYTHON, PIN, card, reachable)
    assert [word for word in last if word not in commands[-1]] == []
    assert [torch_build.UV in command for command in commands[:-1]] == [True] * reachable


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("echo 'GPU 0: NVIDIA GeForce RTX 3060 (UUID: GPU-1)'", True),
        ("echo 'NVIDIA-SMI has failed'; exit 9", False),
        ("echo 'No devices were found'", False),
    ],
)
def test_a_card_is_seen_when_the_driver_names_one(
    script: str, seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert torch_build.driver_installed()
    assert torch_build.card_seen() is seen


@pytest.fixture
def answering_index() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/torch/" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_index_that_answers_is_reachable(
    answering_index: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert torch_build.index_reachable(f"{answering_index}/torch/")
    assert not torch_build.index_reachable(f"{answering_index}/elsewhere")
    assert not torch_build.index_reachable(f"http://127.0.0.1:{closed_port}/torch/")


def test_an_index_that_keeps_silent_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/torch/"
        assert not torch_build.index_reachable(url, seconds=0.2)


@pytest.mark.parametrize(
    ("cuda", "version", "card", "fits"),
    [
        ("None", "2.13.0+cpu", False, True),
        ("None", "2.13.0+cpu", True, sys.platform == "darwin"),
        ("'13.0'", "2.13.0+cu130", True, True),
        ("'13.0'", "2.13.0", False, True),
        ("None", "2.12.1", False, False),
    ],
)
def test_which_installed_torch_stays(
    cuda: str, version: str, card: bool, fits: bool, tmp_path: Path
) -> None:
    (tmp_path / "torch").mkdir()
    text = f"from typing import Optional\ncuda: Optional[str] = {cuda}\n"
    (tmp_path / "torch" / "version.py").write_text(text, "utf-8")
    assert torch_build.fits(tmp_path, version, PIN, card) is fits


@pytest.mark.parametrize(
    ("output", "said", "advice"),
    [
        ("NameResolutionError: Failed to resolve 'pypi.org'", "network", "Connect"),
        ("OSError: [Errno 28] No space left on device", "disk is full", "Free"),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "may not write", "Make it yours"),
        ("ERROR: Could not build wheels for sentencepiece", "sentencepiece", "setup.log"),
    ],
)
def test_a_failure_is_a_sentence_with_advice(output: str, said: str, advice: str) -> None:
    text, _, fix = str(stages.explain(output, Path("setup.log"))).rpartition("\n")
    assert said in text
    assert advice in fix
    assert fix.endswith("run the same command again: it goes on where it stopped.")


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, and this is 3\.10\.13"):
        needs_python.check()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's libraries")
def test_missing_system_libraries_end_in_one_line_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """For someone who is not root; set-up goes on."""
    monkeypatch.setattr(system_libraries, "LIBRARIES", {"libnone.so.7": "libnone7"})
    monkeypatch.setattr(system_libraries.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    system_libraries.install(stages.Stages(tmp_path / "log"), for_tests=False)
    line = "    sudo apt-get install -y --no-install-recommends libnone7\n"
    assert capsys.readouterr().err.endswith(line)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be started, with set-up done."""
    commands: list[list[str]] = []

    def become(command: list[str]) -> int:
        commands.append(command[1:])
        return 0

    monkeypatch.setattr(handover, "_become", become)
    monkeypatch.setattr(handover, "_for_running", lambda *_: None)
    monkeypatch.setattr(environment.Environment, "prepare", lambda *_: PYTHON)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    return commands


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
def test_the_starter_model_is_fetched_once_for_each_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fetch that fails is said and tried again the next time; the studio starts all the same."""
    clone = environment.Environment(tmp_path)
    clone.python.parent.mkdir(parents=True)
    python = '#!/bin/sh\necho "$FINETUNE_STUDIO_HOME|$*" >> "$ASKED"\necho no luck\nexit $FAIL\n'
    clone.python.write_text(python, "utf-8")
    clone.python.chmod(0o755)
    monkeypatch.setattr(environment.Environment, "prepare", lambda *_: clone.python)
    monkeypatch.setattr(handover, "Environment", lambda: clone)
    monkeypatch.setattr(handover, "_become", lambda _: 0)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    for home, fail in (("/one", 1), ("/one", 0), ("/one", 0), ("/two", 0)):
        monkeypatch.setenv("FAIL", str(fail))
        assert handover.run(["runs", "--home", home]) == 0
    fetch = "-P -m studio models download starter"
    asked = (tmp_path / "asked").read_text("utf-8").splitlines()
    assert asked == [f"/one|{fetch}", f"/one|{fetch}", f"/two|{fetch}"]
    assert "no luck\nThe studio starts without it" in capsys.readouterr().err


STUDIO = ["-P", "-m", "studio"]


def test_arguments_go_to_the_command(started: list[list[str]]) -> None:
    assert handover.run(["doctor", "--json"]) == 0
    assert started == [[*STUDIO, "doctor", "--json"]]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a display")
def test_without_a_display_the_whole_path_runs_in_the_terminal(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    handover.run([])
    handover.run(["--home", "/h"])
    assert started == [[*STUDIO, "quickstart"], [*STUDIO, "quickstart", "--home", "/h"]]
    assert "There is no display" in capsys.readouterr().err


def test_with_a_display_the_window_opens(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    handover.run([])
    assert started == [STUDIO]


def test_the_tests_run_offscreen_and_in_the_clone(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    handover.test(["-k", "architecture"])
    handover.test([])
    pytest_ = ["-m", "pytest"]
    assert started == [[*pytest_, "-k", "architecture"], [*pytest_, "-n", "auto"]]
    assert os.environ["QT_QPA_PLATFORM"] == "offscreen"
    assert Path.cwd() == environment.ROOT
