"""Rendering chats with a model's template, in a sandbox, to the letter as transformers does it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
import jinja2.sandbox
import jinja2.utils

from studio.core.errors import StudioError
from studio.library import chat_templates
from studio.preparer.messages import BadRow, Message

Span = tuple[int, int]
_REFUSALS = (
    jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError,
    RuntimeError,
)  # fmt: skip


class Template:
    """A model's chat template. `source` says where it comes from, `fallback` that it isn't its own.

    Environment and globals follow transformers/utils/chat_template_utils.py (5.23).
    """

    def __init__(self, folder: Path) -> None:
        found = chat_templates.of_model(folder)
        self.text = found.text
        self.source = found.source
        self.fallback = found.fallback
        self._tokens = chat_templates.special_tokens(folder)
        self._environment = _environment()
        try:
            self._template = self._environment.from_string(found.text)
        except jinja2.TemplateError as error:
            raise StudioError(
                "Chat template is broken",
                f"The chat template of “{folder.name}” can't be read: {error}.",
                "Choose another model, or repair chat_template.jinja in its folder.",
            ) from error

    def render(self, messages: Sequence[Message], generation_prompt: bool = False) -> str:
        """The chat as the model reads it; BadRow where the template refuses it."""
        return self.render_tracked(messages, generation_prompt)[0]

    def render_tracked(
        self, messages: Sequence[Message], generation_prompt: bool = False
    ) -> tuple[str, list[Span]]:
        """The chat, and the character spans inside {% generation %} where the template has it."""
        chat = [_reasoning(_present(message)) for message in messages]
        blocks: list[str] = []
        spans: list[Span] = []
        try:
            with _tracking(self._environment, blocks, spans):
                for block in self._template.generate(
                    messages=chat,
                    tools=None,
                    documents=None,
                    add_generation_prompt=generation_prompt,
                    **self._tokens,
                ):
                    blocks.append(block)
        except _REFUSALS as error:
            why = str(error).split("\n")[0].rstrip(".") or type(error).__name__
            raise BadRow(f"is refused by the chat template: {why}", "Change its roles.") from error
        return "".join(blocks), spans


class _Generation(jinja2.ext.Extension):
    """The {% generation %} tag: notes where in the output the assistant's words stand."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own attribute

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_noted")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _noted(self, caller: jinja2.runtime.Macro) -> str:
        text: str = caller()
        blocks, spans = self.environment.tracker  # type: ignore[attr-defined]
        start = sum(map(len, blocks))
        spans.append((start, start + len(text)))
        return text


class _Namespace(jinja2.utils.Namespace):
    """A namespace without underscore names, through which Python's insides could be reached."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, rest = args[0], args[1:]
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _refuse_underscore(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)


class _Dict:
    """`dict` for templates, without the class itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def _environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(
        raise_exception=_raise, strftime_now=_now, dict=_Dict(), namespace=_Namespace
    )
    return environment


@contextmanager
def _tracking(
    environment: jinja2.Environment, blocks: list[str], spans: list[Span]
) -> Iterator[None]:
    environment.tracker = (blocks, spans)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        environment.tracker = ([], [])  # type: ignore[attr-defined]


def _present(message: Mapping[str, Any]) -> Message:
    return {key: value for key, value in message.items() if value is not None}


def _reasoning(message: Message) -> Message:
    """Reasoning under the names that templates read."""
    names = ("reasoning_content", "thinking", "reasoning")
    found = next((message[name] for name in names if name in message), None)
    if found is None:
        return message
    return {"thinking": found, **message, "reasoning_content": found}


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse_underscore(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"{name!r} begins with an underscore")
