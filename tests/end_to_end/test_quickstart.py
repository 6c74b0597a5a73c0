"""The whole path on the starter model, for real, as a person without a screen walks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.library.folders import Home
from tests.support.command_line import ask


@pytest.mark.timeout(1200)
def test_quickstart(home: Home, starter_model: Path, tmp_path: Path) -> None:
    """Trains, scores, chats and merges; a model that plain transformers loads comes out."""
    (home.models / starter_model.name).symlink_to(starter_model, target_is_directory=True)
    out = tmp_path / "merged"
    said = ask(home, "quickstart", "--out", out)
    assert said.code == 0, said.lines[-1]
    result = said.result
    assert result["metric_before"] < 0.2
    assert result["metric_after"] > 0.85
    assert result["shared_values"] == 0
    assert result["new_patterns"] >= 1 / 3
    assert result["merged"] == str(out)
    assert Path(result["run"]).parent == home.runs
    assert Path(result["adapter"], "adapter_model.safetensors").is_file()
    assert result["answer_before"] != result["answer_after"]

    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": result["prompt"]}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**asked, max_new_tokens=64, do_sample=False)
    text = tokenizer.decode(answer[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text.strip() == result["answer_after"].strip()
