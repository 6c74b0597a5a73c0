"""The corpus' shapes: what people put into a row, in every dialect."""

from __future__ import annotations

import json
from typing import Any

from tests.preparer.corpus import CHAT, PAIR, A, Case, Q, good, jsonl, refused, twice

FROM = [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]
SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"name": "look", "arguments": {"at": "it"}}
TOOL_CHAT = [
    SYSTEM,
    {"role": "user", "content": Q},
    {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]},
    {"role": "tool", "name": "look", "tool_call_id": "1", "content": "seen"},
    {"role": "assistant", "content": A},
]
TRANSCRIPT = f"\n\nHuman: {Q}\n\nAssistant: {A}"


def chat(name: str, row: dict[str, Any], shape: str = "chat messages", **verdict: Any) -> Case:
    return twice(row, name=name, shape=shape, **verdict)


CHATS = [
    chat("messages", {"messages": CHAT}),
    chat("messages with system", {"messages": [SYSTEM, *CHAT]}),
    chat("system beside the messages", {"system": "Be brief.", "messages": CHAT}),
    chat("a developer's turn", {"messages": [{**SYSTEM, "role": "developer"}, *CHAT]}),
    chat("tool calls", {"messages": TOOL_CHAT, "tools": [{"type": "function", "function": CALL}]}),
    chat("tools as JSON", {"messages": CHAT, "tools": json.dumps([{"name": "look"}])}),
    chat("function_call of OpenAI", {"messages": [
        CHAT[0], {"role": "assistant", "content": None, "function_call": CALL},
        {"role": "function", "name": "look", "content": "seen"}, CHAT[1]]}),
    chat("names of speakers", {"messages": [{**CHAT[0], "name": "Ann"}, CHAT[1]]}),
    chat("content in parts", {"messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is "},
                                     {"type": "text", "text": "asked?"}]}, CHAT[1]]}),
    chat("Gemini's contents", {"contents": [
        {"role": "user", "parts": [{"text": Q}]}, {"role": "model", "parts": [{"text": A}]}]}),
    chat("conversations with roles", {"conversations": CHAT}),
    chat("a chat under chat", {"chat": CHAT}),
    chat("a dialogue of turns", {"dialog": CHAT}),
    chat("texts by turns", {"dialogue": [Q, A]}),
    chat("pairs within a list", {"conversation": [{"human": Q, "assistant": A}]}),
    chat("messages as JSON in a string", {"messages": json.dumps(CHAT)}),
    chat("messages as columns", {"messages": {"role": ["user", "assistant"], "content": [Q, A]}}),
    chat("speakers by another name", {"turns": [
        {"speaker": "user", "text": Q}, {"speaker": "bot", "text": A}]}),
    chat("a chat under any name", {"gespräch": CHAT, "id": 7}),
    chat("a question left open", {"messages": [*CHAT, {"role": "user", "content": "And?"}]}),
    chat("reasoning beside the answer", {"messages": [
        CHAT[0], {**CHAT[1], "reasoning_content": "Hm."}]}),
    good("lists of messages for lines", "rows.jsonl", jsonl(CHAT, CHAT), shape="chat messages"),
    good("lists of messages in a list", "rows.json", json.dumps([CHAT, CHAT]).encode(),
         shape="chat messages"),
    chat("ShareGPT", {"conversations": FROM}, "ShareGPT"),
    chat("ShareGPT with user and assistant", {"conversations": [
        {"from": "user", "value": Q}, {"from": "assistant", "value": A}]}, "ShareGPT"),
    chat("ShareGPT with system beside", {"system": "Be brief.", "conversations": FROM}, "ShareGPT"),
    chat("ShareGPT with tools", {"tools": "[]", "conversations": [
        {"from": "human", "value": Q}, {"from": "function_call", "value": json.dumps(CALL)},
        {"from": "observation", "value": "seen"}, {"from": "gpt", "value": A}]}, "ShareGPT"),
    chat("ShareGPT under messages", {"messages": FROM}, "ShareGPT"),
]  # fmt: skip

PAIRS = [
    twice(PAIR, name="prompt and completion"),
    twice({"prompt": CHAT[:1], "completion": CHAT[1:]}, name="prompt and completion as messages"),
    twice({"Prompt": Q, "Response": A}, name="capitals"),
    twice({"input": Q, "output": A}, name="input and output"),
    twice({"user": Q, "assistant": A}, name="user and assistant"),
    twice({"message_1": Q, "message_2": A}, name="two numbered messages"),
    twice({"instruction": Q, "input": "", "output": A}, name="Alpaca", shape="Alpaca"),
    twice({"instruction": "What is", "input": "asked?", "output": A}, name="Alpaca with input",
          shape="Alpaca", first=("What is\n\nasked?", A)),
    twice({"instruction": Q, "input": "", "output": A, "history": [["Before?", "Yes."]],
           "system": "Be brief."}, name="Alpaca with history and system", shape="Alpaca"),
    twice({"instruction": Q, "output": A, "history": []}, name="Alpaca with no history",
          shape="Alpaca"),
    good("Alpaca with a history of another make", "rows.jsonl", jsonl(
        {"instruction": Q, "output": A, "history": [["a", "b"]]},
        {"instruction": Q, "output": A, "history": "what was said"}), shape="Alpaca", bad=(2,)),
    twice({"instruction": Q, "context": "", "response": A, "category": "x"}, name="Dolly",
          shape="Alpaca"),
    twice({"question": Q, "answer": A}, name="question and answer", shape="question and answer"),
    twice({"Question Text": "?", "problem": Q, "solution": A}, name="problem and solution",
          shape="question and answer"),
    twice({"question": "6 × 7?", "answer": 42}, name="a number for an answer",
          shape="question and answer", first=("6 × 7?", "42")),
    twice({"query": Q, "context": "", "response": A}, name="query and response",
          shape="question and answer"),
    twice({"article": Q, "summary": A}, name="article and summary", shape="document and summary"),
    twice({"frage": Q, "antwort": A}, name="columns mapped", shape="mapped columns",
          part={"columns": {"prompt": "frage", "completion": "antwort"}}),
    twice({"q": {"text": Q}, "a": {"texts": [A, "no"]}}, name="nested columns mapped",
          shape="mapped columns",
          part={"columns": {"prompt": "q.text", "completion": "a.texts.0"}}),
    twice({"a": "What is", "b": "asked?", "c": A}, name="a prompt made of two columns",
          shape="mapped columns", part={"columns": {"prompt": "{a} {b}", "completion": "c"}}),
]  # fmt: skip

TEXTS = [
    twice({"text": A}, name="plain text", shape="plain text", first=A),
    twice({"content": A, "meta": {"url": "x"}}, name="pre-training text", shape="plain text",
          first=A),
    twice({"quote": "Said as it was said."}, name="the only column", shape="plain text",
          first="Said as it was said."),
    good("texts in a list", "rows.json", json.dumps([A, A]).encode(), shape="plain text", first=A),
    twice({"input_ids": [1, 2, 3]}, name="token ids", shape="pre-tokenised", first=(1, 2, 3)),
    twice({"input_ids": [1, 2, 3], "labels": [-100, 2, 3], "attention_mask": [0, 1, 1]},
          name="token ids with labels and mask", shape="pre-tokenised", first=(2, 3)),
    good("token ids of another length than labels", "rows.jsonl", jsonl(
        {"input_ids": [1, 2], "labels": [1]}, {"input_ids": [1, 2], "labels": [1, 2]},
        {"input_ids": [1, -2], "labels": [1, 2]}), shape="pre-tokenised", rows=3, bad=(1, 3),
        first=(1, 2)),
    good("one row of token ids in an object", "row.json", json.dumps(
        {"input_ids": [1, 2], "labels": [1, 2]}).encode(), shape="pre-tokenised", rows=1,
        first=(1, 2)),
]  # fmt: skip

CHOSEN = {"said": "the preferred answers alone", "shape": "preference pairs"}
CHOICES = [
    twice({"prompt": Q, "chosen": A, "rejected": "No."}, name="preference as text", **CHOSEN),
    twice({"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": CHAT[1:]},
          name="preference as messages", **CHOSEN),
    twice({"chosen": CHAT, "rejected": CHAT}, name="preference with the prompt inside", **CHOSEN),
    twice({"prompt": Q, "chosen": CHAT, "rejected": CHAT, "score_chosen": 8.0, "messages": CHAT},
          name="UltraFeedback's pairs", **CHOSEN),
    twice({"chosen": TRANSCRIPT, "rejected": TRANSCRIPT}, name="preference as transcripts",
          **CHOSEN),
    twice({"chosen": A, "rejected": "No."}, name="preference of texts alone", first=A, **CHOSEN),
    twice({"question": Q, "response_j": A, "response_k": "No."}, name="the better answer is j",
          **CHOSEN),
    twice({"input": {"messages": CHAT[:1]}, "preferred_output": CHAT[1:],
           "non_preferred_output": CHAT[1:]}, name="OpenAI's preferred output", **CHOSEN),
    twice({"conversations": FROM[:1], "chosen": FROM[1], "rejected": FROM[1]},
          name="preference in ShareGPT", **CHOSEN),
    good("KTO", "rows.jsonl", jsonl({**PAIR, "label": True}, {**PAIR, "label": False},
         {**PAIR, "label": True}), shape="rated answers (KTO)", rows=3, usable=2,
         said="1 row is marked as bad"),
    good("KTO with messages and numbers", "rows.jsonl", jsonl(
        {"prompt": CHAT[:1], "completion": CHAT[1:], "label": 0},
        {"prompt": CHAT[:1], "completion": CHAT[1:], "label": 1}), shape="rated answers (KTO)",
        usable=1),
    twice({"prompt": Q, "answers": [{"text": "No.", "score": 1}, {"text": A, "score": 5}]},
          name="ranked answers with scores", shape="ranked answers", said="the best answer"),
    twice({"prompt": Q, "responses": ["No.", A], "scores": [0.1, 0.9]},
          name="answers beside their scores", shape="ranked answers"),
    twice({"instruction": Q, "completions": [{"response": "No.", "rank": 2},
                                             {"response": A, "rank": 1}]},
          name="answers with ranks", shape="ranked answers"),
    good("texts with classes", "rows.jsonl", jsonl(
        *({"text": f"Row {i}", "label": i % 2} for i in range(8))), shape="classification",
        rows=0, usable=0, said="no answers to learn"),
    good("texts with named classes", "rows.csv",
         b"sentence,category\nI like it,good\nI don't,bad\nSo so,good\nHm,bad\n",
         shape="classification", rows=0, usable=0, said="map prompt to"),
    good("classes said as the answer", "rows.jsonl", jsonl(
        {"text": Q, "label": 1}, {"text": Q, "label": 0}), shape="mapped columns", first=(Q, "1"),
        part={"columns": {"prompt": "text", "completion": "label"}}),
    good("classes left aside", "rows.jsonl", jsonl(
         {"text": A, "label": 1}, {"text": A, "label": 0}), shape="mapped columns", first=A,
         part={"columns": {"text": "text"}}),
]  # fmt: skip

UNKNOWN = [
    twice({"price": "1", "weight": "2"}, name="columns of no known meaning", shape="", rows=0,
          said="Say which column is which"),
    twice({"a": "b", "c": "d"}, name="a mapping to what is not there", shape="", rows=0,
          part={"columns": {"text": "z"}}, said="no column “z”"),
    twice({"a": "b", "c": "d"}, name="a mapping of half a pair", shape="", rows=0,
          part={"columns": {"prompt": "a"}}, said="neither messages"),
    refused("a list of numbers", "rows.json", b"[1, 2, 3]", "No usable rows"),
]  # fmt: skip

CASES = [*CHATS, *PAIRS, *TEXTS, *CHOICES, *UNKNOWN]
