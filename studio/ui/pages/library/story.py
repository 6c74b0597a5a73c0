"""What the details tell beyond an adapter's facts; read off the window's thread."""

from __future__ import annotations

from pathlib import Path

import msgspec

from studio.core.errors import StudioError
from studio.library import adapters
from studio.library.adapters import AdapterFacts, history
from studio.library.adapters.history import History
from studio.library.folders import Home


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Losses and samples of an adapter's run, its recipe's file, and where its base was found
    (or why it wasn't). `run_there` says that the run itself can still be opened."""

    path: str
    history: History = History()
    recipe: str = ""
    run_there: bool = False
    base: str = ""
    missing: str = ""


def tell(home: Home, facts: AdapterFacts) -> Story:
    """The story of one adapter."""
    folder = Path(facts.path)
    told, recipe = history.read(folder), history.recipe_of(folder)
    run = home.runs / facts.run if facts.run and not facts.imported else None
    there = run is not None and run.parent == home.runs and (run / "recipe.yaml").is_file()
    base, missing = "", ""
    if not facts.problem:
        try:
            base = str(adapters.base_of(home, facts))
        except StudioError as error:
            missing = error.text
    return Story(
        path=facts.path,
        history=told,
        recipe=str(recipe or (run / "recipe.yaml" if run is not None and there else "")),
        run_there=there,
        base=base,
        missing=missing,
    )
