"""Exit code and last output become one sentence and a fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.keeper.outcome import ended, explain
from studio.library.folders import JobFolder

WINDOWS_ACCESS_VIOLATION = 0xC0000005
WARNED = "/a b/c.py:33: FutureWarning: `x` is deprecated.\n  warnings.warn(\n"


@pytest.mark.parametrize(
    ("code", "output", "title", "text"),
    [
        (-11, "", "The engine crashed", "SIGSEGV"),
        (139, "", "The engine crashed", "SIGSEGV"),
        (WINDOWS_ACCESS_VIOLATION, "", "The engine crashed", "SIGSEGV"),
        (WINDOWS_ACCESS_VIOLATION - (1 << 32), "", "The engine crashed", "SIGSEGV"),
        (-4, "", "The engine crashed", "instruction"),
        (-7, "", "The engine crashed", "SIGBUS"),
        (-6, "", "The engine crashed", "SIGABRT"),
        (-9, "", "The engine was killed", "memory"),
        (137, "", "The engine was killed", "memory"),
        (-15, "", "The engine was told to end", "SIGTERM"),
        (1, "x\ntorch.OutOfMemoryError: CUDA out of memory. Tried", "Out of memory", "memory"),
        (1, "MemoryError", "Out of memory", "memory"),
        (-6, "terminate called ... std::bad_alloc", "Out of memory", "memory"),
        (1, "OSError: [Errno 28] No space left on device", "The disk is full", "disk"),
        (1, "Traceback\nValueError: bad\n", "The engine failed", "ValueError: bad."),
        (1, "a.b.HubError: no\nmore", "The engine failed", "HubError: no."),
        (3, "last words\n\n", "The engine ended without a word", "code 3; the last it printed"),
        (3, f"words\n{WARNED}", "The engine ended without a word", "printed was “words”."),
        (None, WARNED * 2, "The engine ended without a word", "Its process is gone."),
        (0, "", "The engine ended without a word", "gone with exit code 0."),
        (None, "", "The engine ended without a word", "Its process is gone."),
    ],
)
def test_words(code: int | None, output: str, title: str, text: str) -> None:
    words = explain(code, output)
    assert words.title == title
    assert text in words.text
    assert words.fix.endswith(".")
    assert "\n" not in words.text


def test_an_engine_that_spoke_needs_no_words(tmp_path: Path) -> None:
    event = ended(tmp_path, 1, said=True)
    assert (event.code, event.title, event.text, event.fix) == (1, "", "", "")


def test_only_what_this_engine_printed_counts(tmp_path: Path) -> None:
    log = JobFolder(tmp_path).engine_log
    log.write_text("MemoryError\n", "utf-8")
    start = log.stat().st_size
    assert ended(tmp_path, 1, said=False).title == "Out of memory"
    assert ended(tmp_path, 1, said=False, printed_from=start).title != "Out of memory"


def test_an_engine_that_ends_without_a_word_on_a_full_disk() -> None:
    assert explain(1, "", full=True).title == "The disk is full"
    assert explain(-11, "", full=True).title == "The engine crashed"
