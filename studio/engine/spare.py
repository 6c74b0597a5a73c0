"""An engine before its job: it has imported what every job needs, and waits to be given one."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

import msgspec

from studio.engine import process

_USED = (
    "studio.engine.train",
    "studio.engine.measure",
    "studio.engine.chat",
    "transformers.models.llama.modeling_llama",
    "transformers.tokenization_utils_tokenizers",
    "peft.tuners.lora.model",
)
_ASK_THE_DRIVER = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""Libraries ask whether there is a card while they are imported; asked in this way CUDA stays as
it is, so that the job can still choose its card, and no memory of the card is taken."""


class Order(msgspec.Struct, frozen=True):
    """The job folder, and what the environment is to say from now on."""

    folder: str
    environment: dict[str, str] = {}


def wait(log: Path) -> tuple[Path, BinaryIO]:
    """Get ready, then wait for an order on standard input: its folder, and the pipe that was
    standard input. Ends this process where the keeper is gone or wants it no longer."""
    with contextlib.suppress(OSError):
        log.unlink(missing_ok=True)
    pipe = process.settle(log)
    reader = _Reader(pipe)
    reader.start()
    warm()
    reader.join()
    os.environ.update(reader.order.environment)
    return Path(reader.order.folder), pipe


def warm() -> None:
    """Import what jobs use. What fails here fails again in the job, which can say so."""
    os.environ.update(_ASK_THE_DRIVER)
    importlib.import_module("studio.engine.lighter").import_bitsandbytes()
    for name in _USED:
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"{name}: {error!r}")
    for name in _ASK_THE_DRIVER:
        os.environ.pop(name, None)


class _Reader(threading.Thread):
    """Reads the order, not a byte more; ends the process where none comes any more."""

    order: Order

    def __init__(self, pipe: BinaryIO) -> None:
        super().__init__(name="order", daemon=True)
        self._pipe = pipe

    def run(self) -> None:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._read()
            if not byte:
                os._exit(0)
            line += byte
        self.order = msgspec.json.decode(line, type=Order)

    def _read(self) -> bytes:
        with contextlib.suppress(OSError, ValueError):
            return self._pipe.read(1)
        return b""
