"""The tests' own tools do what they say: leaks and log records are noticed, cards are read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from studio.library.folders import Home
from tests.support.nvml import GIB, FakeCards

ROOT = Path(__file__).resolve().parent.parent

LEAKING = """
import gc, logging, subprocess, sys, threading
from PySide6.QtCore import QTimer
from tests.support import leaks

leaks.GRACE = 0.2

def test_thread():
    threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()

def test_process():
    global child
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

def test_timer(qapp):
    global timer
    timer = QTimer()
    timer.start(1000)

def test_record():
    logging.getLogger("studio").error("it broke")

def test_file():
    open(__file__)
    gc.collect()

def test_nothing(qapp):
    pass
"""
SAID = ("thread forgotten", "process ", "QTimer ", "ERROR studio: it broke", "ResourceWarning")


def test_a_test_that_leaks_fails(tmp_path: Path) -> None:
    file = tmp_path / "test_leaking.py"
    file.write_text(LEAKING, "utf-8")
    plugins = ["-p", "tests.support.silence", "-p", "tests.support.leaks"]
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *plugins, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "1 failed, 5 passed, 4 errors" in done.stdout, done.stdout
    assert [said for said in SAID if said not in done.stdout] == []


def test_cards_are_read_and_change_under_way(fake_cards: FakeCards) -> None:
    pynvml.nvmlInit()
    card = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert pynvml.nvmlDeviceGetName(card) == "NVIDIA GeForce RTX 4090"
    assert pynvml.nvmlDeviceGetMemoryInfo(card).used == 8 * GIB
    fake_cards.set(used=10 * GIB, temperature=None, processes="42:1024,43:-")
    assert pynvml.nvmlDeviceGetMemoryInfo(card).used == 10 * GIB
    running = pynvml.nvmlDeviceGetComputeRunningProcesses(card)
    assert [(p.pid, p.usedGpuMemory) for p in running] == [(42, 1024), (43, None)]
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU)
    fake_cards.break_down()
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetMemoryInfo(card)
    pynvml.nvmlShutdown()


def test_cards_are_seen_by_a_child(fake_cards: FakeCards) -> None:
    fake_cards.add(name="NVIDIA GeForce RTX 3060")
    code = (
        "import pynvml as n; n.nvmlInit(); "
        "print([n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(i)) "
        "for i in range(n.nvmlDeviceGetCount())])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['NVIDIA GeForce RTX 4090', 'NVIDIA GeForce RTX 3060']"


def test_the_tiny_model_answers_to_transformers(tiny_model: Path) -> None:
    code = (
        "import sys; from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "t = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "m, info = AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)\n"
        "assert not any(info.values()), info\n"
        "ids = t.apply_chat_template([{'role': 'user', 'content': 'Zoë?'}], return_tensors='pt',"
        " add_generation_prompt=True, return_dict=True)\n"
        "assert m(**ids).logits.shape[-1] == len(t) == 512\n"
        "assert t.pad_token == t.eos_token == '<|im_end|>'\n"
        "print(t.decode(ids['input_ids'][0]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "<|im_start|>user\nZoë?<|im_end|>\n<|im_start|>assistant\n\n"


def test_home_is_fresh(home: Home, tmp_path: Path) -> None:
    assert tmp_path in home.root.parents
    assert list(home.runs.iterdir()) == []
