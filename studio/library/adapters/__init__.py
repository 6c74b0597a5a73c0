"""Adapters on disk: PEFT's files with a studio.json beside them that says where they came from."""

from studio.library.adapters.bases import base_of, trained_elsewhere
from studio.library.adapters.facts import (
    FACTS_FILE,
    AdapterFacts,
    BaseTold,
    Made,
    Origin,
    facts,
)
from studio.library.adapters.lineage import children, in_library, origin, record_made
from studio.library.adapters.shelf import (
    add,
    annotate,
    delete,
    deleted,
    find,
    import_folder,
    listing,
    rename,
    restore,
)

__all__ = [
    "FACTS_FILE",
    "AdapterFacts",
    "BaseTold",
    "Made",
    "Origin",
    "add",
    "annotate",
    "base_of",
    "children",
    "delete",
    "deleted",
    "facts",
    "find",
    "import_folder",
    "in_library",
    "listing",
    "origin",
    "record_made",
    "rename",
    "restore",
    "trained_elsewhere",
]
