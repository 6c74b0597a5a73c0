"""A base and its adapters as the models of transformers' own server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI, HTTPException
from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.cli.serving.chat_completion import ChatCompletionHandler
from transformers.cli.serving.completion import CompletionHandler
from transformers.cli.serving.model_manager import ModelManager
from transformers.cli.serving.response import ResponseHandler
from transformers.cli.serving.server import build_server
from transformers.cli.serving.systemone import SystemOneHandler
from transformers.cli.serving.transcription import TranscriptionHandler
from transformers.cli.serving.utils import BaseGenerateManager, BaseHandler, GenerationState

from studio.core.commands import Say
from studio.engine import room
from studio.engine.conversation import Speaker
from studio.engine.generate import stop_tokens

_SETTINGS = "generation_config"
DONE = "data: [DONE]\n\n"


class Voice:
    """The base as it speaks with one adapter (a folder; "": with none); else the base itself."""

    def __init__(self, speaker: Speaker, adapter: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self._speaker = speaker
        self._adapter = adapter
        self.tokenizer = tokenizer
        self.generation_config = _sampling(speaker, tokenizer)

    def generate(self, **options: Any) -> Any:
        """What transformers' `generate` makes of it, with this adapter alone.

        What this voice has read before isn't read again: the library keeps nothing between
        requests, but takes a memory that is handed to it.
        """
        base: Any = self._speaker.base
        prefixes, prompt = self._speaker.prefixes, options["input_ids"]
        while room.spare(base.device) == 0 and prefixes.give_back():
            pass
        with self._speaker.speaking(self._adapter):
            own = getattr(base.generation_config, "cache_implementation", None)
            if len(prompt) != 1 or own:  # a memory of the model's own kind, made by itself
                return base.generate(**options)
            read = prompt[0].tolist()
            prefix = prefixes.take(self._adapter, base, read)
            if (memory := prefix.lend(base)) is None:
                return base.generate(**options)
            try:
                found = base.generate(**options, past_key_values=memory)
                read = found[0].tolist()
            finally:
                prefix.take_back(read)
                prefixes.keep(self._adapter, prefix)
            return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._speaker.base, name)


class Voices(ModelManager):
    """What the server asks for models: those that are loaded, by name, and never another."""

    def __init__(self, voices: Mapping[str, Voice]) -> None:
        super().__init__(device="cpu")
        self._voices = dict(voices)

    @staticmethod
    def process_model_name(model_id: str) -> str:
        """A name is a name: no revision belongs to it."""
        return model_id

    def load_model_and_processor(
        self, model_id_and_revision: str, *arguments: Any, **options: Any
    ) -> tuple[Any, Any]:
        """The voice of this name and its tokenizer."""
        voice = self._voices.get(model_id_and_revision)
        if voice is None:
            known = ", ".join(self._voices)
            raise HTTPException(404, f"There is no model {model_id_and_revision!r}; try {known}.")
        return voice, voice.tokenizer

    def get_gen_models(self, cache_dir: str | None = None) -> list[dict[str, Any]]:  # type: ignore[override]
        """The entries of `/v1/models`."""
        kind = {"object": "model", "created": 0, "owned_by": "finetune-studio"}
        return [{"id": name} | kind for name in self._voices]


class OneAtATime(GenerationState):
    """All voices share one base, so that one thread answers for all of them, in turn."""

    def get_manager(self, model_id: str, use_cb: bool = False) -> BaseGenerateManager:
        """The same one whoever is asked."""
        return super().get_manager("", use_cb=False)


class _Checked(BaseHandler):
    def _validate_request(self, body: dict[str, Any]) -> None:
        """Refuses what the server would stumble over, beside what it refuses itself."""
        if not isinstance(body.get("model"), str):
            raise HTTPException(422, "The request names no model.")
        if body.get(_SETTINGS) is not None:
            raise HTTPException(422, f"{_SETTINGS} can't be set here.")
        super()._validate_request(body)


class _Ending(_Checked):
    """Streams end with the line that OpenAI's clients wait for, which the library leaves out."""

    def _streaming(self, *arguments: Any, **options: Any) -> Any:
        answer: Any = super()._streaming(*arguments, **options)  # type: ignore[misc]
        answer.body_iterator = _ended(answer.body_iterator)
        return answer


async def _ended(stream: Any) -> AsyncIterator[str]:
    async with contextlib.aclosing(stream):  # who hangs up ends the answer
        async for piece in stream:
            yield piece
    yield DONE


class _Chat(_Ending, ChatCompletionHandler):
    pass


class _Completion(_Ending, CompletionHandler):
    pass


class _Response(_Checked, ResponseHandler):
    def _validate_request(self, body: dict[str, Any]) -> None:
        """A request that doesn't ask for a stream gets none, as with OpenAI."""
        super()._validate_request(body)
        body.setdefault("stream", False)


def application(voices: Mapping[str, Voice]) -> FastAPI:
    """transformers' server over these voices."""
    models, state = Voices(voices), OneAtATime()
    return build_server(
        models,
        _Chat(models, state),
        completion_handler=_Completion(models, state),
        response_handler=_Response(models, state),
        transcription_handler=TranscriptionHandler(models, state),
        systemone_handler=SystemOneHandler(models, state),
        generation_state=state,
    )


def _sampling(speaker: Speaker, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """As the studio's chat speaks where a request says nothing else; temperature 0 is greedy."""
    usual = Say(request="", messages=())
    return GenerationConfig(
        do_sample=True,
        temperature=usual.temperature,
        top_p=usual.top_p,
        top_k=0,
        eos_token_id=sorted(stop_tokens(speaker.base, tokenizer)),
        pad_token_id=tokenizer.pad_token_id,
    )
