"""Silence is the passing state: an unexpected warning or error in the log fails the test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

# Loggers of libraries whose warnings say nothing about us; each with the reason.
EXPECTED: tuple[tuple[str, str], ...] = (
    # bitsandbytes offers a package with faster kernels
    ("bitsandbytes", "Failed to load CPU gemm_4bit_forward"),
    # how LLM.int8 works, said at each layer
    ("bitsandbytes", "inputs will be cast from"),
    # transformers counts before the studio cuts
    ("transformers.tokenization_utils_base", "Token indices sequence length is longer"),
)


class Listener(logging.Handler):
    """Keeps what nobody expected: `caplog.at_level(...)` says that a test expects a record."""

    def __init__(self, expected: logging.Handler) -> None:
        super().__init__(logging.WARNING)
        self._expected = expected
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if 0 < self._expected.level <= record.levelno:
            return
        message = record.getMessage()
        if not any(record.name.startswith(n) and text in message for n, text in EXPECTED):
            self.heard.append(f"{record.levelname} {record.name}: {message}")


@pytest.fixture(autouse=True)
def no_unexpected_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail on a record of level WARNING or above; `caplog.at_level(logging.WARNING)` allows it."""
    listener = Listener(caplog.handler)
    root = logging.getLogger()
    root.addHandler(listener)
    yield
    root.removeHandler(listener)
    if listener.heard:
        pytest.fail("unexpected in the log:\n" + "\n".join(listener.heard), pytrace=False)


@pytest.fixture
def warnings_expected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """For a test in which a library warns of what the studio then says in its own words."""
    with caplog.at_level(logging.WARNING):
        yield
