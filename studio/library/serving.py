"""The key to the server of this home, and what its models are called."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from studio.library.files import write_whole
from studio.library.folders import Home

USUAL_PORT = 8765
"""Taken where it is free and no other was asked for, so that programs find the server again."""

_PREFIX = "studio-"
_KEY = re.compile(r"studio-[\w-]{43}")


def key(home: Home) -> str:
    """The key that programs show to the server; made on first use.

    It lies in a file that its owner alone can read, as the keeper's does: the engine takes it from
    there, so that it stands in no argument, environment, log or job.
    """
    try:
        kept = home.serve_key.read_text("ascii").strip()
    except (OSError, ValueError):
        kept = ""
    return kept if _KEY.fullmatch(kept) else new_key(home)


def new_key(home: Home) -> str:
    """Another key; the one before opens nothing once a server starts."""
    made = _PREFIX + secrets.token_urlsafe(32)
    write_whole(home.serve_key, made + "\n", private=True)
    return made


def model_names(wanted: Sequence[str]) -> list[str]:
    """Names for `/v1/models`, each once and without what programs trip over.

    >>> model_names(["Tiny Llama", "orders", "Orders", "orders"])
    ['tiny-llama', 'orders', 'orders-2', 'orders-3']
    """
    found: list[str] = []
    for name in wanted:
        plain = re.sub(r"[^\w.-]+", "-", name.casefold()).strip("-.") or "model"
        free, number = plain, 1
        while free in found:
            number += 1
            free = f"{plain}-{number}"
        found.append(free)
    return found


def examples(address: str, key: str, model: str) -> list[tuple[str, str]]:
    """How programs connect: what with, and the words for it.

    >>> [name for name, _ in examples("http://127.0.0.1:8765/v1", "k", "orders")]
    ['curl', 'Python', 'Other programs']
    """
    python = (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{address}", api_key="{key}")\n'
        "answer = client.chat.completions.create(\n"
        f'    model="{model}",\n'
        '    messages=[{"role": "user", "content": "Hello!"}],\n'
        ")\n"
        "print(answer.choices[0].message.content)"
    )
    curl = (
        f"curl {address}/chat/completions"
        f' -H "Authorization: Bearer {key}" -H "Content-Type: application/json"'
        f' -d "{{\\"model\\": \\"{model}\\", \\"messages\\":'
        ' [{\\"role\\": \\"user\\", \\"content\\": \\"Hello!\\"}]}"'
    )
    other = (
        "Add a connection of the kind OpenAI or OpenAI-compatible:\n"
        f"Base URL  {address}\n"
        f"API key   {key}\n"
        f"Model     {model}"
    )
    return [("curl", curl), ("Python", python), ("Other programs", other)]
