"""Runs a converter of llama.cpp so that code lying in a model folder stays unread.

The converters ask transformers to trust such code; here every such question is answered no.
Called as `python no_remote_code.py SCRIPT ARGUMENTS…`.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer no for good, then become the script."""
    from transformers import dynamic_module_utils
    from transformers.models.auto import auto_factory, configuration_auto, tokenization_auto

    def refuse(*_: Any, **__: Any) -> bool:
        return False

    modules: tuple[Any, ...] = (
        dynamic_module_utils, auto_factory, configuration_auto, tokenization_auto,
    )  # fmt: skip
    for module in modules:
        if hasattr(module, "resolve_trust_remote_code"):
            module.resolve_trust_remote_code = refuse
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
