"""The shapes of datasets that are known by the names of their columns, the surest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Columns = Mapping[str, tuple[str, ...]]


class Shape(NamedTuple):
    """A known shape: its name, the columns it may have for each role, how sure its names are, and
    what of it is learnt; nothing is learnt of what this task can't use."""

    name: str
    needed: Columns
    extra: Columns
    sureness: float
    learnt: str
    usable: bool = True


def _pair(prompt: str, completion: str) -> Columns:
    return {"prompt": tuple(prompt.split()), "completion": tuple(completion.split())}


_SYSTEM: Columns = {"system": ("system", "system_prompt", "system_message", "sys")}
_TOOLS: Columns = {"tools": ("tools", "functions")}
_CHAT: Columns = {**_SYSTEM, **_TOOLS}
_INPUT: Columns = {"input": ("input", "context", "inputs"), "history": ("history",), **_SYSTEM}

ASSISTANT = "The assistant’s answers."
COMPLETION = "The answer of each row."
TEXT = "The whole text."
TOKENS = "The tokens whose label isn’t −100; without labels, all of them."
CHOSEN = "The preferred answers alone; the rejected ones are not used."
GOOD = "The answers marked as good; the others are passed over."
BEST = "The best answer of each row; the others are not used."
NOTHING = "Nothing yet: a class is no text to answer with."

_ASKED = "prompt question instruction query input user conversations messages context history post"
_LABELS = ("label", "is_good", "rating", "feedback", "thumbs_up", "desirable")
_CLASSES = ("label", "labels", "category", "class", "sentiment", "intent", "label_text", "topic")

SHAPES = (
    Shape(
        "pre-tokenised",
        {"input_ids": ("input_ids",)},
        {"labels": ("labels",), "attention_mask": ("attention_mask",)},
        1.0, TOKENS,
    ),
    Shape(
        "preference pairs",
        {"chosen": ("chosen", "preferred_output", "preferred", "chosen_response", "response_j",
                    "winner"),
         "rejected": ("rejected", "non_preferred_output", "dispreferred", "rejected_response",
                      "response_k", "loser")},
        {"prompt": tuple(_ASKED.split()), **_SYSTEM},
        1.0, CHOSEN,
    ),
    Shape(
        "rated answers (KTO)",
        {**_pair("prompt question instruction query", "completion response answer output"),
         "label": _LABELS},
        _SYSTEM, 1.0, GOOD,
    ),
    Shape(
        "ranked answers",
        {"prompt": ("prompt", "question", "instruction", "query"),
         "answers": ("answers", "responses", "completions", "candidates", "outputs")},
        {"scores": ("scores", "ratings", "rewards"), **_SYSTEM},
        0.95, BEST,
    ),
    Shape("chat messages", {"messages": ("messages",)}, _CHAT, 1.0, ASSISTANT),
    Shape("ShareGPT", {"messages": ("conversations", "conversation")}, _CHAT, 1.0, ASSISTANT),
    Shape(
        "chat messages",
        {"messages": ("chat", "dialogue", "dialog", "turns", "contents", "chat_messages")},
        _CHAT, 0.9, ASSISTANT,
    ),
    Shape("Alpaca", _pair("instruction", "output response"), _INPUT, 1.0, COMPLETION),
    Shape("prompt and completion", _pair("prompt", "completion"), _CHAT, 1.0, COMPLETION),
    Shape(
        "question and answer",
        _pair("question query q problem", "answer response a solution answers"),
        _INPUT, 0.95, COMPLETION,
    ),
    Shape(
        "document and summary",
        _pair("document article dialogue text", "summary highlights abstract tldr"),
        _SYSTEM, 0.85, COMPLETION,
    ),
    Shape(
        "prompt and completion",
        _pair(
            "prompt user input inputs human request source message_1 instruction user_input "
            "user_message",
            "response output outputs assistant target targets gpt reply answer message_2 bot "
            "generation expected_output model_response completion chatgpt",
        ),
        _SYSTEM, 0.8, COMPLETION,
    ),
    Shape(
        "classification",
        {"text": ("text", "sentence", "content", "review", "utterance", "tweet", "comment"),
         "class": _CLASSES},
        {}, 1.0, NOTHING, usable=False,
    ),
    Shape("plain text", {"text": ("text",)}, {}, 0.99, TEXT),
    Shape(
        "plain text",
        {"text": ("content", "body", "document", "sentence", "article", "passage", "code",
                  "paragraph", "story", "markdown")},
        {}, 0.8, TEXT,
    ),
)  # fmt: skip
