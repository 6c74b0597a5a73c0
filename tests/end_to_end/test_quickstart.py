"""The whole path on the starter model, for real, as a person without a screen walks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.client.keeper import quit_keeper
from studio.core import passport
from studio.library.folders import Home
from tests.benchmarks.passports import Bench
from tests.support import gguf_files
from tests.support.command_line import ask
from tests.support.passport_table import HONEST, failing

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Done:
    home: Home
    out: Path
    result: dict[str, Any]


@pytest.fixture(scope="module")
def done(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """What quickstart comes to, in a home whose path has a space."""
    place = tmp_path_factory.mktemp("quickstart")
    home = Home(place / "studio home").make()
    (home.models / starter_model.name).symlink_to(starter_model, target_is_directory=True)
    said = ask(home, "quickstart", "--out", place / "merged")
    quit_keeper(home)
    assert said.code == 0, said.lines[-1]
    return Done(home, place / "merged", said.result)


def test_quickstart(done: Done) -> None:
    """Trains, scores, chats and merges; a model that plain transformers loads comes out."""
    result = done.result
    assert result["metric_before"] < 0.2
    assert result["metric_after"] > 0.85
    assert result["shared_values"] == 0
    assert result["new_patterns"] >= 1 / 3
    assert result["merged"] == str(done.out)
    assert Path(result["run"]).parent == done.home.runs
    assert Path(result["adapter"], "adapter_model.safetensors").is_file()
    assert result["answer_before"] != result["answer_after"]

    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(done.out)
    model = AutoModelForCausalLM.from_pretrained(done.out)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": result["prompt"]}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**asked, max_new_tokens=64, do_sample=False)
    text = tokenizer.decode(answer[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text.strip() == result["answer_after"].strip()


LEAST = {"F16": 0.995, "Q8_0": 0.98, "int4": 0.85}
"""Of the places, at which an export of what was trained finds the same token likeliest as the live
model; int4 is onnxruntime's."""


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # in peft
@pytest.mark.usefixtures("warnings_expected")
def test_its_exports_say_what_was_trained(done: Done) -> None:
    gguf_files.parts_are_there()
    bench = Bench(done.home, Path(done.result["adapter"]).name)
    for line in bench.lines([(kind, HONEST) for kind in LEAST]):
        assert line.positions >= passport.POSITIONS
        assert line.agreement["0"] >= LEAST[line.kind], line
        assert failing(line) == []
