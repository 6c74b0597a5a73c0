"""The conversations that every passport asks: languages, code, JSON, several turns, odd spaces."""

from __future__ import annotations

from studio.engine.runtimes import Messages

_ASKED = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Turn this into JSON: Ada paid 12 euros for lunch on Monday.",
    "Explain in a few words how a bicycle stays upright.",
    "Give me three names for a cat.",
    "Translate into German: Good morning, my friend.",
    "Note: call the dentist at nine, bring the insurance card.",
    "How many days are there in a leap year?",
    "def add(a, b):\n    return a + b\n\nWhat does this function do?",
    "Schreibe einen Satz über den Winter. Größe: klein, Straße: lang!",
    "  Two  spaces,\ta tab and a line\n\nbetween – what do they do?  ",
    "Order 512: one green lamp for Anna, 3 × 19.90 €, by Friday 🙂",
)


def conversations() -> list[Messages]:
    """Chat messages that end with a user's, short ones, with a system prompt and of three turns."""
    plain: list[Messages] = [[_user(text)] for text in _ASKED]
    return [
        *plain,
        [{"role": "system", "content": "Answer in one short sentence."}, _user("Why is it dark?")],
        [_user("Name a fruit."), _assistant("An apple."), _user("And a vegetable?")],
        [_user("2 + 2?"), _assistant("4"), _user("And times ten?")],
        [
            {"role": "system", "content": "Answer as a pirate would."},
            _user("Hello!"), _assistant("Ahoy!"), _user("Where are you going?"),
        ],
    ]  # fmt: skip


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
