"""GGUF files that can be talked with: those that were exported here, and any other by its path."""

from __future__ import annotations

from pathlib import Path

from studio.core.errors import StudioError
from studio.library import exports
from studio.library.exports import ExportFacts
from studio.library.folders import Home

PART = "llama-cpp"
"""The optional part that runs them."""
SUFFIX = ".gguf"
_KIND = "gguf"


def names_file(side: str) -> bool:
    """Whether a side of a conversation, or its model, is a GGUF file; the disk isn't looked at."""
    return side.casefold().endswith(SUFFIX)


def called(side: str, model: str) -> str:
    """What to call a side that is a GGUF file, "" for any other; "" among them is the model."""
    return Path(side or model).name if names_file(side or model) else ""


def find(text: str) -> Path:
    """The file that a path names: itself, or the only one in a folder. Raises StudioError."""
    path = Path(text).expanduser()
    found = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if len(found) == 1 and found[0].is_file() and names_file(found[0].name):
        return found[0].absolute()
    raise StudioError(
        "No GGUF file",
        f"{path} is no GGUF file, nor a folder with one in it.",
        "Give the path of a file that ends in .gguf.",
    )


def exported(home: Home) -> list[tuple[str, ExportFacts]]:
    """Every GGUF file that was exported and is still there, the latest first."""
    found: dict[str, ExportFacts] = {}
    for facts in exports.listing(home):
        if facts.kind == _KIND and facts.there:
            for file in sorted(Path(facts.out).glob(f"*{SUFFIX}")):
                found.setdefault(str(file), facts)
    return list(found.items())
