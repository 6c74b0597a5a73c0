"""Shapes recognised with confidence and reason, rows turned into chats, bad rows named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import StudioError
from studio.preparer.messages import BadRow, Sample
from studio.preparer.samples import sample
from studio.preparer.shapes import Unrecognised, recognise

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
PAIR = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"})
SHAREGPT = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"messages": CHAT}, "chat messages"),
        ({"id": 1, "conversations": CHAT}, "chat messages"),
        ({"conversations": SHAREGPT, "source": "x"}, "ShareGPT"),
        ({"messages": json.dumps(CHAT)}, "chat messages"),
        ({"instruction": "hi", "input": "", "output": "yes"}, "Alpaca"),
        ({"prompt": "hi", "completion": "yes"}, "prompt and completion"),
        ({"prompt": CHAT[:1], "completion": CHAT[1:]}, "prompt and completion"),
        ({"Prompt": "hi", "Response": "yes"}, "prompt and completion"),
        ({"Question": "hi", "Answer": "yes"}, "question and answer"),
    ],
)
def test_every_shape_becomes_the_same_chat(row: dict[str, Any], name: str) -> None:
    found = recognise([row], {})
    assert found.format == name
    assert found.confidence >= 0.8
    assert "1 of the first 1 rows" in found.reason
    assert sample(row, found.roles) == Sample(messages=PAIR)


def test_plain_text_stays_text() -> None:
    found = recognise([{"text": "Once upon a time"}], {})
    assert found.format == "plain text"
    assert sample({"text": "Once"}, found.roles) == Sample(text="Once")


def test_confidence_is_the_share_of_rows_that_fit() -> None:
    rows: list[dict[str, Any]] = [{"messages": CHAT}] * 3 + [{"messages": None}]
    found = recognise(rows, {})
    assert found.confidence == 0.75
    assert "3 of the first 4 rows" in found.reason


def test_system_and_input_take_their_places() -> None:
    row = {"instruction": "Add", "input": "1 2", "output": "3", "system": "Be brief"}
    found = sample(row, recognise([row], {}).roles)
    assert [m["role"] for m in found.messages] == ["system", "user", "assistant"]
    assert found.messages[1]["content"] == "Add\n\n1 2"
    chat = {"system": "Be brief", "conversations": SHAREGPT}
    assert sample(chat, recognise([chat], {}).roles).messages[0]["content"] == "Be brief"


def test_the_recipes_mapping_goes_before_all_guessing() -> None:
    row = {"text": "noise", "frage": "hi", "antwort": "yes"}
    found = recognise([row], {"question": "frage", "completion": "antwort"})
    assert (found.confidence, found.roles) == (1.0, {"prompt": "frage", "completion": "antwort"})
    assert sample(row, found.roles).messages == PAIR


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prompt": "missing", "completion": "b"}, "no column “missing”"),
        ({"colour": "a"}, "“colour” is nothing that a column can be"),
        ({"prompt": "a"}, "neither messages"),
    ],
)
def test_a_mapping_that_does_not_fit(columns: dict[str, str], said: str) -> None:
    with pytest.raises(Unrecognised, match=said) as caught:
        recognise([{"a": "x", "b": "y"}], columns)
    assert caught.value.columns == ("a", "b")


def test_unknown_columns_are_listed() -> None:
    with pytest.raises(StudioError, match=r"“price”, “weight”") as caught:
        recognise([{"price": "1", "weight": "2"}], {})
    assert "prompt and completion" in caught.value.fix


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        (None, "no list of messages"),
        ([], "no list of messages"),
        ("nonsense", "no list of messages"),
        ([{"role": "user", "content": "hi"}], "no answer to learn from"),
        (
            [{"role": "user", "content": "hi"}, {"role": "assistant", "content": " "}],
            "empty answer",
        ),
        ([{"role": "user"}, CHAT[1]], "message of the user without text"),
        ([{"role": "narrator", "content": "x"}, CHAT[1]], "message of “narrator”"),
        ([{"role": "user", "content": [{"type": "image"}]}, CHAT[1]], "more than text"),
        ([{"role": "user", "content": "\udce9"}, CHAT[1]], "no UTF-8"),
    ],
)
def test_bad_chats_say_why(chat: object, said: str) -> None:
    with pytest.raises(BadRow, match=said) as caught:
        sample({"messages": chat}, {"messages": "messages"})
    assert caught.value.fix


@pytest.mark.parametrize(
    ("value", "said"), [(None, "nothing"), (True, "no text"), (" ", "is empty")]
)
def test_bad_fields_say_why(value: object, said: str) -> None:
    with pytest.raises(BadRow, match=said):
        sample({"q": "hi", "a": value}, {"prompt": "q", "completion": "a"})
    with pytest.raises(BadRow, match=said):
        sample({"text": value}, {"text": "text"})


def test_an_input_without_a_question_is_no_fault() -> None:
    row = {"instruction": CHAT[1:], "input": "more", "output": "yes"}
    assert len(sample(row, recognise([row], {}).roles).messages) == 2


def test_text_parts_are_joined_tool_calls_kept_and_a_hanging_question_dropped() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}
    chat = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        call,
        {"role": "tool", "content": "1"},
        CHAT[1],
        {"role": "user", "content": "and?"},
    ]
    found = sample({"messages": chat}, {"messages": "messages"}).messages
    assert [m["content"] for m in found] == ["ab", "", "1", "yes"]
    assert found[1]["tool_calls"] == call["tool_calls"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "text"]), inner)
    ),
    max_leaves=8,
)
ROLES = [{"messages": "x"}, {"text": "x"}, {"prompt": "x", "completion": "y", "input": "z"}]


@given(row=st.dictionaries(st.sampled_from("xyz"), anything), roles=st.sampled_from(ROLES))
def test_every_row_is_a_sample_or_a_bad_row(row: dict[str, Any], roles: dict[str, str]) -> None:
    try:
        found = sample(row, roles)
    except BadRow:
        return
    assert found.text.strip() or found.messages[-1]["role"] == "assistant"
