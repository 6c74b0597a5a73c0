"""A GGUF file in llama.cpp: prefixes are read once, answers end, faults are sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.core.errors import StudioError
from studio.engine.llama_cpp import library, structs
from studio.engine.llama_cpp.model import GgufModel, Logits

IDS = list(range(100, 700, 7))


def near(left: Logits, right: Logits) -> bool:
    """The same but for the order of sums in batches of other sizes, with keys in 16 bits."""
    return bool(np.abs(left - right).mean() < 0.01 * np.abs(left).mean())


def test_what_two_readings_have_in_common_changes_nothing(small_gguf: Path) -> None:
    with GgufModel(small_gguf, context=512, threads=1) as model:
        whole = model.logits(IDS, 0)
        again = model.logits([*IDS[:40], 5, 6, 7], 40)
        back = model.logits(IDS, 30)
    with GgufModel(small_gguf, context=512, threads=1) as model:
        fresh = model.logits([*IDS[:40], 5, 6, 7], 40)
    assert near(whole[30:], back)
    assert near(again, fresh)
    assert not near(whole[30:], whole[29:-1])
    assert whole.shape == (len(IDS), model.vocabulary)


def test_more_than_a_batch_is_read(small_gguf: Path) -> None:
    long = (IDS * 8)[:600]
    with GgufModel(small_gguf, context=1024, threads=1) as model:
        assert model.logits(long, 500).shape == (100, model.vocabulary)


def test_a_greedy_answer_is_the_likeliest_each_time(small_gguf: Path) -> None:
    with GgufModel(small_gguf, context=256, threads=1) as model:
        answer = list(model.greedy(IDS[:9], 5))
        told = model.logits([*IDS[:9], *answer[:-1]], 8)
    assert answer == told.argmax(-1).tolist()


def test_too_long_a_text_is_refused(small_gguf: Path) -> None:
    model = GgufModel(small_gguf, context=64, threads=1)
    with model, pytest.raises(StudioError, match="don't fit"):
        model.logits(IDS * 4, 0)


def test_no_gguf_file_is_refused(small_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"no")
    with pytest.raises(StudioError, match=r"no\.gguf"):
        GgufModel(tmp_path / "no.gguf")


def test_a_library_of_another_layout_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    lib = library.load()
    assert structs.differing(lib.llama_context_default_params()) == []
    shifted = structs.ContextParams.from_buffer_copy(
        b"\0" * 8 + bytes(lib.llama_context_default_params())[:-8]
    )
    assert structs.differing(shifted)
