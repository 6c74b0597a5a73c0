"""Kernels that were made for one shape of tensors don't pile up in an engine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from studio.keeper import launching

SHAPES = 300
PROGRAM = f"""
import ctypes, torch

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
used = lambda: libc.mallinfo2().h
torch.set_num_threads(1)
weight = torch.ones(96, 64, dtype=torch.bfloat16)

def multiply(shapes):
    for rows in shapes:
        torch.ones(rows, 64, dtype=torch.bfloat16) @ weight.T

multiply(range(100, 100 + {SHAPES}))
before = used()
multiply(range(100 + {SHAPES}, 100 + 2 * {SHAPES}))
print(used() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what the allocator gave out is read of glibc")
def test_products_of_ever_new_lengths_take_no_more_memory() -> None:
    environment = os.environ | launching.KERNEL_CACHES
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10 << 20
