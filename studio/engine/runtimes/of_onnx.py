"""onnxruntime-genai as a runtime: an ONNX folder as its own programs load it."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.engine.runtimes import Messages, Row, Tick, Told


class OfOnnx:
    """A folder with genai_config.json. It tells logits at every place of a text."""

    name = "onnxruntime-genai"
    candidates = 0

    def __init__(self, folder: Path) -> None:
        import onnxruntime_genai as genai

        self._genai: Any = genai
        settings: Any = genai.Config(str(folder))
        settings.overlay(json.dumps(_threads(torch.get_num_threads())))
        self._model: Any = genai.Model(settings)
        self._tokenizer: Any = genai.Tokenizer(self._model)
        config = json.loads((folder / "genai_config.json").read_text("utf-8"))["model"]
        self._bos = config.get("bos_token_id")

    def render(self, messages: Messages) -> str:
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    json.dumps(list(messages)), add_generation_prompt=True
                )
            )
        except RuntimeError as error:
            raise ValueError(str(error)) from error

    def encode(self, text: str) -> list[int]:
        return [int(token) for token in self._tokenizer.encode(text)]

    @property
    def bos(self) -> int | None:
        return int(self._bos) if self._bos is not None else None

    @property
    def stops(self) -> frozenset[int]:
        return frozenset(int(token) for token in self._tokenizer.eos_token_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(np.array(ids, dtype=np.int32)))

    def greedy(self, prompts: Sequence[Sequence[int]], most: int, tick: Tick) -> list[list[int]]:
        stops = self.stops
        answers = []
        for prompt in prompts:
            tick()
            generator = self._reader(prompt, len(prompt) + most)
            answer: list[int] = []
            while len(answer) < most and not generator.is_done():
                generator.generate_next_token()
                token = int(generator.get_next_tokens()[0])
                if token in stops:
                    break
                answer.append(token)
            answers.append(answer)
        return answers

    def read(self, rows: Sequence[Row], tick: Tick) -> Iterator[Told]:
        for row in rows:
            tick()
            generator = self._reader(row.ids, len(row.ids) + 1)
            logits = torch.from_numpy(np.array(generator.get_output("logits")))[0]
            found = torch.log_softmax(logits[list(row.places)].float(), dim=-1)
            targets = torch.tensor(row.targets)[:, None]
            yield Told(found, found.gather(-1, targets)[:, 0])

    def close(self) -> None:
        self._model = self._tokenizer = None
        gc.collect()

    def _reader(self, ids: Sequence[int], length: int) -> Any:
        """A generator that has read these ids."""
        params = self._genai.GeneratorParams(self._model)
        params.set_search_options(max_length=length, do_sample=False)
        generator = self._genai.Generator(self._model, params)
        generator.append_tokens(np.array(ids, dtype=np.int32))
        return generator


def _threads(count: int) -> dict[str, Any]:
    """As many threads as torch has: by itself the runtime takes no notice of other cores' work."""
    return {"model": {"decoder": {"session_options": {"intra_op_num_threads": count}}}}
