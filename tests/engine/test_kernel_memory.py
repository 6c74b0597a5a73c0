"""Kernels that were made for one shape of tensors don't pile up in an engine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from studio.keeper import launching

SHAPES = 300
PROGRAM = """
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

"""
NEW = f"""
multiply(range(100, 100 + {SHAPES}))
before = used()
multiply(range(100 + {SHAPES}, 100 + 2 * {SHAPES}))
print(used() - before)
"""
FOUND_AGAIN = f"""
before = used()
multiply(range(100, 190))
one = (used() - before) / 90
for rows in range(1000, 1000 + {SHAPES}):
    multiply([rows, 100 + rows % 90])
print((used() - before) / one)
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="what the allocator gave out is read of glibc"
)


def said(program: str) -> float:
    environment = os.environ | launching.KERNEL_CACHES
    command = [sys.executable, "-c", PROGRAM + program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_products_of_ever_new_lengths_take_no_more_memory() -> None:
    assert said(NEW) < 10 << 20


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no kernels for 16 bits are made here"
)
def test_one_that_is_found_again_is_held_by_one_cache_alone() -> None:
    """torch's own, before oneDNN's, would hold those that the other let go of."""
    assert said(FOUND_AGAIN) < 1.1 * int(launching.KERNEL_CACHES["ONEDNN_PRIMITIVE_CACHE_CAPACITY"])
