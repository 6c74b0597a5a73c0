"""An Ollama Modelfile: which file to run, the form of a conversation, stops, system prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.core.turns import Turns

UNKNOWN = (
    "# The chat template of this model takes a form that can't be written down for Ollama,\n"
    "# which doesn't run Jinja. Without TEMPLATE it guesses from the file: check its answers, or\n"
    "# use llama.cpp or LM Studio, which run the model's own template.\n"
)
_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
"""Generation settings of a model folder, by Ollama's names (docs/modelfile.mdx)."""


def modelfile(
    source: str, *, turns: Turns | None, bos: str = "", adapter: str = "",
    stops: Sequence[str] = (), system: str = "", settings: Mapping[str, object] = {},
    context: int = 0, licence: str = "", remark: str = "",
) -> str:  # fmt: skip
    """The text of a Modelfile beside the file `source`.

    `bos` is the text of the token that llama.cpp puts before a prompt by itself, which a template
    must not repeat. `settings` are those of the model's generation_config.json.
    """
    lines = [f"# {line}" for line in remark.splitlines()]
    lines.append(f"FROM {source}")
    if adapter:
        lines.append(f"ADAPTER {adapter}")
    text = go_template(turns, bos) if turns else None
    lines.append(f'TEMPLATE """{text}"""' if text is not None else UNKNOWN.rstrip())
    lines += [f"PARAMETER stop {_quoted(stop)}" for stop in dict.fromkeys(stops)]
    for name, ours in _PARAMETERS.items():
        value = settings.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            lines.append(f"PARAMETER {ours} {value}")
    if context:
        lines.append(f"PARAMETER num_ctx {context}")
    if system:
        lines.append(
            f'SYSTEM """{system}"""' if '"""' not in system else f"SYSTEM {_quoted(system)}"
        )
    if licence:
        lines.append(f'LICENSE """{licence}"""')
    return "\n".join(lines) + "\n"


def go_template(turns: Turns, bos: str = "") -> str | None:
    """The form of a conversation in Go's template language, as Ollama fills it; None where it
    can't stand in a Modelfile."""
    start, before = turns.start.removeprefix(bos), turns.before_system.removeprefix(bos)
    head = _literal(start)
    if turns.after_system is not None:
        with_system = f"{_literal(before)}{{{{ .System }}}}{_literal(turns.after_system)}"
        head = f"{{{{ if .System }}}}{with_system}{{{{ else }}}}{head}{{{{ end }}}}"
    user = (
        "{{ .Content }}{{ if $last }}" + _literal(turns.prompt) + "{{ else }}"
        + _literal(turns.answer) + "{{ end }}"
    )  # fmt: skip
    answer = "{{ .Content }}{{ if not $last }}" + _literal(turns.next) + "{{ end }}"
    text = (
        head + "{{ range $i, $_ := .Messages }}"
        "{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        '{{ if eq .Role "user" }}' + user + '{{ else if eq .Role "assistant" }}' + answer
        + "{{ end }}{{ end }}"
    )  # fmt: skip
    return None if '"""' in text else text


def _literal(text: str) -> str:
    """Text that Go's templates write as it is."""
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
