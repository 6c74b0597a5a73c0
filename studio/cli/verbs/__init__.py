"""One file a family of verbs; each adds its parsers and runs them."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]


def modules() -> tuple[ModuleType, ...]:
    """The verb families, in the order that --help shows them."""
    from studio.cli.verbs import (
        adapters,
        cards,
        chat,
        chats,
        dataset,
        datasets,
        doctor,
        estimate,
        export,
        merge,
        mix,
        models,
        parts,
        queue,
        quickstart,
        recipes,
        runs,
        serve,
        settings,
        train,
    )

    return (
        quickstart,
        train,
        queue,
        runs,
        recipes,
        estimate,
        cards,
        dataset,
        datasets,
        models,
        adapters,
        chat,
        mix,
        chats,
        merge,
        serve,
        parts,
        export,
        settings,
        doctor,
    )
