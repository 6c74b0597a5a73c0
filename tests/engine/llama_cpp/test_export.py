"""GGUF exports as a job: written, run by llama.cpp, judged; spoiled ones fail for their reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.core import exporting
from studio.core.commands import Cancel, Export
from studio.core.errors import StudioError
from studio.core.events import AnyEvent, Cancelled, Finished
from studio.core.passport import Passport
from studio.engine import passport
from studio.engine.export import job as exports_job
from studio.engine.llama_cpp import quantize
from studio.engine.passport import Live
from studio.engine.runtimes.of_llama_cpp import OfLlamaCpp
from studio.library import jobs, parts
from studio.library.folders import Home
from tests.support import adapters as made
from tests.support import engines, gguf_files


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices gain nothing from more, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def adapter(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.make_adapter(small, tmp_path_factory.mktemp("adapters") / "adapter", seed=3)


def events_of(home: Home, **fields: Any) -> list[AnyEvent]:
    context = engines.context_of(home, Export(check="quick", **fields))
    exports_job.run(context)
    return engines.events_of(context)


def run(home: Home, **fields: Any) -> dict[str, Any]:
    last = events_of(home, **fields)[-1]
    assert isinstance(last, Finished)
    return last.result


def test_an_adapter_becomes_a_gguf_file_that_passes(
    home: Home, tmp_path: Path, small: Path, adapter: Path
) -> None:
    out = tmp_path / "My Model"
    fields = {"model": str(small), "adapter": str(adapter), "system": "Be brief."}
    result = run(home, format="gguf", out=str(out), quantization="F16", **fields)
    found = result["passport"]
    assert (found["grade"], found["runtime"], found["kl_over"]) == ("pass", "llama.cpp", 0)
    assert found["kl"] < 0.01 < 1 < found["kl_without_adapter"]
    names = sorted(file.name for file in out.iterdir())
    assert names == ["Modelfile", "My-Model-F16.gguf", "README.md", "passport.json"]
    text = (out / "Modelfile").read_text("utf-8")
    assert text.startswith("FROM ./My-Model-F16.gguf\n")
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert 'SYSTEM """Be brief."""' in text
    card = (out / "README.md").read_text("utf-8")
    assert "ollama create my-model" in card
    assert "## Passport" in card


def test_the_adapter_alone_passes_on_a_converted_base(
    home: Home, tmp_path: Path, small: Path, adapter: Path
) -> None:
    out = tmp_path / "lora"
    fields = {"model": str(small), "adapter": str(adapter)}
    result = run(home, format="gguf-adapter", out=str(out), **fields)
    assert result["passport"]["grade"] == "pass"
    assert "ADAPTER ./lora.gguf" in (out / "Modelfile").read_text("utf-8")
    assert (out / "lora.gguf").stat().st_size < 2**20


def test_given_up_nothing_is_left(home: Home, tmp_path: Path, small: Path) -> None:
    out = tmp_path / "out"
    job = Export(format="gguf", out=str(out), model=str(small), quantization="Q4_K_M")
    context = engines.context_of(home, job)
    jobs.tell(context.folder.path, Cancel())
    exports_job.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
    assert not list(tmp_path.glob("*out*"))


def test_without_its_parts_it_is_refused_before_it_begins(
    home: Home, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "state", lambda part: "missing")
    with pytest.raises(StudioError, match="part is missing") as caught:
        events_of(home, format="gguf", out=str(tmp_path / "out"), model=str(small))
    assert "parts install" in caught.value.fix
    assert not (tmp_path / "out").exists()


def forget_rotation(file: Path) -> None:
    gguf_files.rotate_wrongly(file)


def swap_template(file: Path) -> None:
    swapped = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant]"
    gguf_files.change_text(file, "tokenizer.chat_template", swapped)


def drop_the_end(file: Path) -> None:
    """llama.cpp ends at tokens that are called so as well: their names go too."""
    gguf_files.change_number(file, "tokenizer.ggml.eos_token_id", 100)
    gguf_files.rename_token(file, "<|im_end|>", "<|im_enx|>")


@pytest.mark.parametrize(
    ("spoil", "failing"),
    [(forget_rotation, "kl"), (swap_template, "prompt"), (drop_the_end, "stops")],
)
def test_a_spoiled_file_fails(
    small: Path, small_gguf: Path, tmp_path: Path, spoil: Callable[[Path], None], failing: str
) -> None:
    file = Path(shutil.copyfile(small_gguf, tmp_path / "spoiled.gguf"))
    spoil(file)
    found = judged(small, file)
    assert found.grade == "fail"
    assert failing in [check.name for check in found.checks if not check.passed]


def judged(model: Path, file: Path) -> Passport:
    live = Live(model, None, torch.float32)
    return passport.check(
        live, lambda: OfLlamaCpp(file), "float16", (), lambda text, share: None, quick=True
    ).passport


def test_every_kind_offered_is_one_that_the_quantizer_makes() -> None:
    assert {kind.id for kind in exporting.find("gguf").quantizations} == set(quantize.FTYPES)
