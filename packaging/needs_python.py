"""Says so where Python is too old; every Python 3 can read this file."""

import sys

SENTENCE = (
    "Finetune Studio needs Python 3.11 or newer, and this is {}.{}.{}.\n"
    "Install one from python.org or your system's packages, and run this again with it."
)


def check() -> None:
    """Leave with a sentence, and exit code 1, if this Python is too old."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this is the one place that may run on less)
        sys.exit(SENTENCE.format(*sys.version_info[:3]))
