"""Which tokens are trained: the answers and the tokens that end them, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StudioError
from studio.core.recipe import DataPart, TrainOn
from studio.preparer.messages import BadRow, Sample
from studio.preparer.tokens import UNTRAINED, Encoder, Tokens

CHAT: tuple[dict[str, Any], ...] = (
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "Here 🙂."},
    {"role": "user", "content": "Here 🙂."},
    {"role": "assistant", "content": "Yes, “here”."},
)
ENDS = {
    "llama": "<|eot_id|>",
    "mistral": "</s>",
    "gemma": "<end_of_turn>",
    "qwen": "<|im_end|>",
    "generation": "<|im_end|>",
}


def tokens(
    folder: Path, chat: tuple[dict[str, Any], ...], train_on: TrainOn = "assistant"
) -> Tokens:
    made = Encoder(folder).encode([Sample(messages=chat)], DataPart(train_on=train_on))[0]
    assert isinstance(made, Tokens)
    return made


def trained_text(folder: Path, made: Tokens) -> list[str]:
    """The decoded runs of trained tokens."""
    runs: list[list[int]] = []
    for index, token in enumerate(made.ids):
        if made.trained[index]:
            if not made.trained[index - 1]:
                runs.append([])
            runs[-1].append(token)
    tokenizer = Encoder(folder).tokenizer
    return [tokenizer.decode(run, skip_special_tokens=False) for run in runs]


@pytest.mark.parametrize("name", list(ENDS))
def test_answers_and_their_ends_are_trained(family: Callable[[str], Path], name: str) -> None:
    made = tokens(family(name), CHAT)
    first, second = trained_text(family(name), made)
    assert first.removeprefix(" ") == "Here 🙂." + ENDS[name]
    assert second.removeprefix(" ").removeprefix("<think>\n\n</think>\n\n") == (
        "Yes, “here”." + ENDS[name]
    )
    assert made.ends
    assert not made.merged


@pytest.mark.parametrize("name", list(ENDS))
def test_only_the_last_answer(family: Callable[[str], Path], name: str) -> None:
    runs = trained_text(family(name), tokens(family(name), CHAT, "last"))
    assert len(runs) == 1
    assert runs[0].endswith("Yes, “here”." + ENDS[name])


def test_everything_but_the_first_token(family: Callable[[str], Path]) -> None:
    made = tokens(family("llama"), CHAT, "everything")
    assert made.trained == [False] + [True] * (len(made.ids) - 1)


def test_the_starter_model_learns_to_stop_although_padding_is_its_end_token(
    starter_model: Path,
) -> None:
    made = tokens(starter_model, CHAT)
    assert trained_text(starter_model, made) == ["Here 🙂.<|im_end|>", "Yes, “here”.<|im_end|>"]
    end = Encoder(starter_model).tokenizer.token_to_id("<|im_end|>")
    trained_ends = [
        i for i, (t, m) in enumerate(zip(made.ids, made.trained, strict=True)) if m and t == end
    ]
    assert len(trained_ends) == 2
    assert made.labels(len(made.ids)).count(end) == 2


def test_labels_hold_the_ids_where_trained_and_are_cut(family: Callable[[str], Path]) -> None:
    made = tokens(family("gemma"), CHAT)
    labels = made.labels(12)
    assert len(labels) == 12
    assert [t for t in labels if t != UNTRAINED] == [
        t for t, m in zip(made.ids[:12], made.trained[:12], strict=True) if m
    ]


def test_no_bos_is_doubled(family: Callable[[str], Path]) -> None:
    for name in ("llama", "mistral", "gemma"):
        encoder = Encoder(family(name))
        made = tokens(family(name), CHAT)
        assert made.ids.count(made.ids[0]) == 1
        assert encoder.tokenizer.id_to_token(made.ids[0]) in ("<|begin_of_text|>", "<s>", "<bos>")


def test_plain_text_is_trained_whole_and_ended_once(tiny_model: Path) -> None:
    encoder = Encoder(tiny_model)
    end = encoder.tokenizer.token_to_id("<|im_end|>")
    for text in ("The quick brown fox", "The quick brown fox<|im_end|>"):
        made = encoder.encode([Sample(text=text)], DataPart())[0]
        assert isinstance(made, Tokens)
        assert made.ids[-1] == end
        assert made.ids.count(end) == 1
        assert made.trained == [False] + [True] * (len(made.ids) - 1)


def test_a_refused_system_message_joins_the_users(family: Callable[[str], Path]) -> None:
    system = {"role": "system", "content": "Be brief."}
    made = tokens(family("gemma"), (system, *CHAT))
    assert made.folded
    assert "user\nBe brief.\n\nWhere?<end_of_turn>" in made.text
    assert not tokens(family("llama"), (system, *CHAT)).folded


def test_a_developer_is_the_system_where_the_template_knows_none(
    family: Callable[[str], Path], tiny_model: Path
) -> None:
    developer = {"role": "developer", "content": "Be brief."}
    known = tokens(tiny_model, (developer, *CHAT))
    assert known.text.startswith("<|im_start|>developer\nBe brief.<|im_end|>\n")
    folded = tokens(family("mistral"), (developer, *CHAT))
    assert folded.folded
    assert "[INST] Be brief.\n\nWhere? [/INST]" in folded.text


def test_a_marked_template_that_leaves_an_answer_out_is_no_mask(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "half")
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if loop.last %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
        encoding="utf-8",
    )
    with Encoder(folder) as encoder:
        row = encoder.encode([Sample(messages=CHAT)], DataPart())[0]
    assert isinstance(row, BadRow)


def test_what_a_template_refuses_or_hides_is_a_bad_row(
    family: Callable[[str], Path], tiny_model: Path, tmp_path: Path
) -> None:
    twice = (CHAT[0], CHAT[0], CHAT[1])
    refused = Encoder(family("mistral")).encode([Sample(messages=twice)], DataPart())[0]
    assert isinstance(refused, BadRow)
    assert "must alternate" in refused.why
    folder = shutil.copytree(tiny_model, tmp_path / "forgetful")
    hiding = "{% for m in messages %}{{ m.content if loop.last else '…' }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(hiding, encoding="utf-8")
    hidden = Encoder(folder).encode([Sample(messages=CHAT)], DataPart())[0]
    assert isinstance(hidden, BadRow)
    assert "leaves out" in hidden.why


def test_a_template_without_end_tokens_is_noticed(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "endless")
    endless = (
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(endless, encoding="utf-8")
    made = tokens(folder, CHAT)
    assert not made.ends
    assert [t.strip() for t in trained_text(folder, made)] == ["Here 🙂.", "Yes, “here”."]


def test_a_model_without_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"no tokenizer\.json"):
        Encoder(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 1}), encoding="utf-8")
    with pytest.raises(StudioError, match="Tokenizer is damaged"):
        Encoder(tmp_path)


def test_truncation_and_padding_of_the_tokenizer_file_are_ignored(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    encoder = Encoder(tiny_model)
    encoder.tokenizer.enable_truncation(3)
    encoder.tokenizer.enable_padding(length=50)
    encoder.tokenizer.save(str(folder / "tokenizer.json"))
    assert tokens(folder, CHAT).ids == tokens(tiny_model, CHAT).ids
