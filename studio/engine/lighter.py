"""Importing what is heavy only once it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import torch


def import_bitsandbytes() -> None:
    """Import bitsandbytes, where it is there, without torch's compiler: it has functions compiled
    that many jobs never call, and the compiler takes a second and 40 MB to import."""
    compile_now = torch.compile
    torch.compile = partial(_when_called, compile_now)
    try:
        importlib.import_module("bitsandbytes")
    except Exception as error:  # a job that needs it says so itself
        print(f"bitsandbytes: {error!r}")
    finally:
        torch.compile = compile_now


def _when_called(
    compile_now: Callable[..., Any], function: Callable[..., Any] | None = None, **options: Any
) -> Any:
    """torch.compile, put off until the function's first call."""
    if function is None:
        return partial(_when_called, compile_now, **options)
    compiled: list[Callable[..., Any]] = []

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if not compiled:
            compiled.append(compile_now(function, **options))
        return compiled[0](*arguments, **named)

    return call
