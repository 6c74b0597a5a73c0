"""What is heavy is imported once it is used, and does then what it always did."""

from __future__ import annotations

import subprocess
import sys

import torch

from studio.engine import lighter

LOOK = """
import sys, torch
from studio.engine.lighter import import_bitsandbytes
compile_now = torch.compile
import_bitsandbytes()
assert torch.compile is compile_now
assert "bitsandbytes" in sys.modules
print("compiler", "torch._inductor.compile_fx" in sys.modules)
"""


def test_bitsandbytes_comes_without_the_compiler() -> None:
    said = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert "compiler False" in said.stdout


def test_a_function_is_compiled_at_its_first_call_and_once() -> None:
    calls: list[str] = []

    def compile_now(function: object, **options: object) -> object:
        calls.append(str(options))
        return function

    wrapped = lighter._when_called(compile_now, dynamic=False)(lambda x: x + 1)
    assert not calls
    assert int(wrapped(torch.tensor(1))) == int(wrapped(torch.tensor(1))) == 2
    assert calls == ["{'dynamic': False}"]
