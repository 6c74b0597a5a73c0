"""Rendering chats with a model's template, in a sandbox, to the letter as transformers does it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.runtime
import jinja2.sandbox
import jinja2.utils

from studio.preparer.messages import BadRow, Message

Span = tuple[int, int]
FILE = "<template>"
OUTPUT_CHARACTERS = 1 << 20
OUTPUT_TIMES = 16
_REFUSALS = (
    jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError,
    RuntimeError,
)  # fmt: skip


class Runaway(Exception):
    """A template that writes without end or takes all memory: the template's fault, not a row's."""

    def __init__(self, kind: str, line: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.line = line


class Broken(Exception):
    """A template that jinja can't read, with why and the line."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


class Template:
    """A chat template, ready to render; `tokens` are the model's special tokens by name.

    Environment and globals follow transformers/utils/chat_template_utils.py (5.23). Raises Broken.
    """

    def __init__(self, text: str, tokens: Mapping[str, str]) -> None:
        self._tokens = dict(tokens)
        self._environment = _environment()
        try:
            self._template = self._environment.from_string(text)
        except jinja2.TemplateSyntaxError as error:
            raise Broken((error.message or "it is no jinja").rstrip("."), error.lineno) from error
        except (*_REFUSALS, SyntaxError, MemoryError) as error:
            raise Broken(_said(error), 0) from error

    @property
    def lines(self) -> list[tuple[int, int]]:
        """Lines of the template, and of the compiled code that each begins at."""
        found = self._template.debug_info
        return sorted((line, code) for line, code in found)

    def render(
        self,
        messages: Sequence[Message],
        generation_prompt: bool = False,
        tools: Sequence[Any] = (),
    ) -> str:
        """The chat as the model reads it; BadRow where the template refuses it."""
        return self.render_tracked(messages, generation_prompt, tools)[0]

    def render_tracked(
        self,
        messages: Sequence[Message],
        generation_prompt: bool = False,
        tools: Sequence[Any] = (),
    ) -> tuple[str, list[Span]]:
        """The chat, and the character spans inside {% generation %} where the template has it.

        Raises BadRow where the template refuses the chat, Runaway where it is out of hand.
        """
        chat = [_reasoning(_present(message)) for message in messages]
        blocks: list[str] = []
        spans: list[Span] = []
        room = _room(chat, tools)
        try:
            with _tracking(self._environment, blocks, spans):
                for block in self._template.generate(
                    messages=chat,
                    tools=list(tools) or None,
                    documents=None,
                    add_generation_prompt=generation_prompt,
                    **self._tokens,
                ):
                    blocks.append(block)
                    room -= len(block)
                    if room < 0:
                        raise Runaway("output", 0)
        except MemoryError as error:
            blocks.clear()
            raise Runaway("memory", _line(error)) from None
        except _REFUSALS as error:
            at = f" (line {line})" if (line := _line(error)) else ""
            why = f"is refused by the chat template{at}: {_said(error)}"
            raise BadRow(why, "Change its roles.") from error
        return "".join(blocks), spans


def _room(chat: Sequence[Message], tools: Sequence[Any]) -> int:
    """How many characters a template may make of a chat."""
    return OUTPUT_CHARACTERS + OUTPUT_TIMES * (len(str(chat)) + len(str(tools)))


def _said(error: BaseException) -> str:
    return str(error).split("\n")[0].rstrip(".") or type(error).__name__


def _line(error: BaseException) -> int:
    """The line of the template in which an error came up; 0 where it isn't known."""
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == FILE
    ]
    return lines[-1] if lines else 0


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
