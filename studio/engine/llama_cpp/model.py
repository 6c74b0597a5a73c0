"""A GGUF file in llama.cpp: its tokens, its logits at any position, its greedy answers."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.core.errors import StudioError
from studio.engine.llama_cpp import library
from studio.engine.llama_cpp.structs import Batch

BATCH = 512
"""Tokens that are read at once."""

Logits = npt.NDArray[np.float32]


class GgufModel:
    """One file loaded, with one sequence in memory. Use as a context manager.

    What two calls have in common at the beginning of their tokens is read once. `context` is how
    many tokens there is room for, `as_trained` no more of them than the model was made for.
    `adapter` is a LoRA adapter as GGUF.
    """

    def __init__(
        self,
        path: Path,
        *,
        context: int = 2048,
        as_trained: bool = False,
        threads: int = 0,
        gpu: bool = False,
        adapter: Path | None = None,
    ) -> None:
        self.path, self.context = path, context
        self._lib = library.load()
        self._model = self._context = None
        self._past: list[int] = []
        self._load(path, gpu)
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        self.vocabulary = int(self._lib.llama_vocab_n_tokens(self._vocab))
        trained = int(self._lib.llama_model_n_ctx_train(self._model))
        if as_trained and 0 < trained < context:
            self.context = trained
        self._open(self.context, threads, gpu)
        if adapter is not None:
            self._attach(adapter)
        self._batch: Batch = self._lib.llama_batch_init(BATCH, 0, 1)

    def __enter__(self) -> GgufModel:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        lib, context, model = self._lib, self._context, self._model
        self._context = self._model = None
        if context:
            lib.llama_batch_free(self._batch)
            lib.llama_free(context)
        if model:
            lib.llama_model_free(model)

    @property
    def template(self) -> str:
        """The chat template in the file, "" where there is none."""
        found = self._lib.llama_model_chat_template(self._model, None)
        return found.decode("utf-8", "replace") if found else ""

    @property
    def adds_bos(self) -> bool:
        """Whether the file asks for a first token before plain text."""
        return bool(self._lib.llama_vocab_get_add_bos(self._vocab))

    @property
    def bos(self) -> int | None:
        """The token that stands at the beginning, None where there is none."""
        found = int(self._lib.llama_vocab_bos(self._vocab))
        return found if found >= 0 else None

    @property
    def eos(self) -> int | None:
        """The token that ends an answer, None where there is none."""
        found = int(self._lib.llama_vocab_eos(self._vocab))
        return found if found >= 0 else None

    def is_stop(self, token: int) -> bool:
        """Whether llama.cpp ends an answer at this token."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def tokenize(self, text: str, *, special: bool = True, add_bos: bool = False) -> list[int]:
        """The tokens of a text; with `special` the names of special tokens in it become these."""
        content = text.encode("utf-8")
        room = len(content) + 8
        found = (c.c_int32 * room)()
        count = self._lib.llama_tokenize(
            self._vocab, content, len(content), found, room, add_bos, special
        )
        return list(found[: max(0, count)])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that a token stands for; a special one only where it is asked for."""
        room = c.create_string_buffer(256)
        count = self._lib.llama_token_to_piece(self._vocab, token, room, len(room), 0, special)
        if count < 0:
            room = c.create_string_buffer(-count)
            count = self._lib.llama_token_to_piece(self._vocab, token, room, len(room), 0, special)
        return room.raw[: max(0, count)]

    def name(self, token: int) -> str:
        """What a token is called in a prompt, a special one too."""
        return self.piece(token, special=True).decode("utf-8", "replace")

    @property
    def added(self) -> str:
        """The text of the token that llama.cpp puts before every prompt by itself."""
        return self.name(self.bos) if self.adds_bos and self.bos is not None else ""

    def encode(self, prompt: str) -> list[int]:
        """The ids of a rendered prompt; the first token stands there once, whoever put it."""
        added = self.added
        return self.tokenize(prompt.removeprefix(added), add_bos=bool(added))

    def known(self, tokens: Sequence[int]) -> int:
        """How many of these tokens are in memory, and needn't be read for the next one."""
        return min(_common(self._past, tokens), len(tokens) - 1)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace")

    def logits(
        self, tokens: Sequence[int], start: int, tick: Callable[[], None] = lambda: None
    ) -> Logits:
        """What follows after each token from the position `start` on: [positions, vocabulary].

        `tick` is called before every batch that is read and may raise to break off.
        """
        return np.concatenate(list(self._read(list(tokens), start, tick)))

    def greedy(self, prompt: Sequence[int], limit: int) -> Iterator[int]:
        """The likeliest tokens one by one, the stop that ends them included."""
        tokens = list(prompt)
        for _ in range(limit):
            chosen = int(self.logits(tokens, len(tokens) - 1)[0].argmax())
            yield chosen
            if self.is_stop(chosen):
                return
            tokens.append(chosen)

    def _read(self, tokens: list[int], start: int, tick: Callable[[], None]) -> Iterator[Logits]:
        """Read what isn't in memory yet, and yield the logits wanted, a batch at a time."""
        if len(tokens) > self.context:
            raise StudioError(
                "Too long for this context",
                f"{len(tokens)} tokens don't fit into a context of {self.context}.",
                "Choose a longer context.",
            )
        kept = min(_common(self._past, tokens), start)
        if kept < len(self._past):
            kept = self._forget(kept)
        self._past = tokens[:kept]
        for begin in range(kept, len(tokens), BATCH):
            tick()
            part = tokens[begin : begin + BATCH]
            if (wanted := self._decode(part, begin, start)) is not None:
                yield wanted

    def _forget(self, kept: int) -> int:
        """Forget all behind the first tokens; what is left, nothing where a part can't go."""
        memory = self._lib.llama_get_memory(self._context)
        if self._lib.llama_memory_seq_rm(memory, 0, kept, -1):
            return kept
        self._lib.llama_memory_clear(memory, True)
        return 0

    def _decode(self, part: list[int], begin: int, start: int) -> Logits | None:
        batch = self._batch
        batch.n_tokens = len(part)
        for i, token in enumerate(part):
            batch.token[i], batch.pos[i] = token, begin + i
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            batch.logits[i] = begin + i >= start
        if status := self._lib.llama_decode(self._context, batch):
            self._past = []
            raise _failed(self.path, f"reading tokens ended with {status}")
        self._past += part
        wanted = [i for i in range(len(part)) if begin + i >= start]
        if not wanted:
            return None
        found = np.empty((len(wanted), self.vocabulary), np.float32)
        for row, i in enumerate(wanted):
            pointer = self._lib.llama_get_logits_ith(self._context, i)
            found[row] = np.ctypeslib.as_array(pointer, (self.vocabulary,))
        return found

    def _load(self, path: Path, gpu: bool) -> None:
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = -1 if gpu else 0
        self._model = self._lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            if _is_adapter(path):
                raise StudioError(
                    "An adapter, not a model",
                    f"{path.name} holds an adapter alone, which says nothing without its base.",
                    "Export base and adapter together as GGUF, or choose the adapter itself.",
                )
            raise _failed(path, "it could not be loaded")

    def _open(self, context: int, threads: int, gpu: bool) -> None:
        params = self._lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, BATCH, BATCH
        params.n_outputs_max_per_seq = 0  # as many as a batch has tokens
        if threads:
            params.n_threads = params.n_threads_batch = threads
        params.offload_kqv = params.op_offload = gpu
        self._context = self._lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise _failed(self.path, "there is no memory for its context")

    def _attach(self, adapter: Path) -> None:
        found = self._lib.llama_adapter_lora_init(self._model, str(adapter).encode())
        if not found:
            raise _failed(adapter, "the adapter could not be loaded onto the model")
        adapters, scales = (c.c_void_p * 1)(found), (c.c_float * 1)(1.0)
        if self._lib.llama_set_adapters_lora(self._context, adapters, 1, scales):
            raise _failed(adapter, "the adapter doesn't fit the model")


def _is_adapter(path: Path) -> bool:
    from gguf import GGUFReader

    try:
        kind = GGUFReader(path).get_field("general.type")
        return kind is not None and kind.contents() == "adapter"
    except (OSError, ValueError):
        return False


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _failed(path: Path, what: str) -> StudioError:
    words: Any = library.last_words()
    return StudioError(
        "llama.cpp can't use the file",
        f"{path.name}: {what} ({words.rstrip('.') or 'no reason was given'}).",
        "Export it again; the job's log has all that llama.cpp said.",
    )
