"""What the engine's tests need besides: one engine's global state undone after each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

# Said by libraries about each other; each with its place.
_IGNORED = (
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning",  # bitsandbytes
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # peft
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these warnings pass in the engine's tests alone."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for ignored in _IGNORED:
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """accelerate keeps one state a process; an engine is one process, these tests are not."""
    yield
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
