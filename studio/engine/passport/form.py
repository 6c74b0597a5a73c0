"""What goes into a model and what ends it: prompt, tokens, beginning of text, stops."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import TemplateError

from studio.core.passport import Check, CheckName, Example
from studio.engine.passport.live import Reference
from studio.engine.runtimes import Messages, Runtime


def compare_form(asked: Reference, runtime: Runtime) -> list[Check]:
    """Each measure counts what differs. A token that begins the text is judged apart from the rest
    of a prompt, so that a lost one has one name."""
    begin = asked.tokenizer.bos_token or ""
    mine = runtime.bos
    theirs = runtime.decode([mine]) if mine is not None else ""
    prompts = tokens = beginnings = 0
    for prompt in asked.prompts:
        text = _rendered(runtime, prompt.messages)
        bare = text and text.removeprefix(theirs if theirs and text.startswith(theirs) else begin)
        prompts += bare != prompt.text.removeprefix(begin)
        ids = runtime.encode(text) if text is not None else []
        beginnings += _leading(ids, mine) != _leading(prompt.ids, asked.bos)
    for text, wanted in asked.texts:
        found = _without(runtime.encode(text.removeprefix(begin)), mine)
        tokens += found != _without(wanted, asked.bos)
    missing = len(asked.ends - runtime.stops)
    return [
        _none("prompt", prompts),
        _none("tokens", tokens),
        _none("bos", beginnings),
        _none("stops", missing),
    ]


def other_prompt(asked: Reference, runtime: Runtime) -> tuple[Example, ...]:
    """The first conversation that the export writes otherwise, both as text; none where there is
    no such."""
    for prompt in asked.prompts:
        text = _rendered(runtime, prompt.messages)
        if text != prompt.text:
            return (Example(prompt=prompt.text, exported=text or "", note="prompt"),)
    return ()


def _rendered(runtime: Runtime, messages: Messages) -> str | None:
    try:
        return runtime.render(messages)
    except (TemplateError, ValueError):
        return None


def _leading(ids: Sequence[int], token: int | None) -> int:
    """How often a text begins with this token."""
    count = 0
    while count < len(ids) and ids[count] == token:
        count += 1
    return count


def _without(ids: Sequence[int], token: int | None) -> list[int]:
    return list(ids[_leading(ids, token) :])


def _none(name: CheckName, count: int) -> Check:
    return Check(name=name, passed=count == 0, measured=float(count), wanted=0.0)
