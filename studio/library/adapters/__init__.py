"""Adapters on disk: PEFT's files with a studio.json beside them that says where they came from."""

from studio.library.adapters.bases import (
    BaseMissing,
    base_of,
    differences,
    locate,
    told,
    trained_elsewhere,
)
from studio.library.adapters.facts import (
    FACTS_FILE,
    AdapterFacts,
    BaseTold,
    Made,
    Origin,
    facts,
    facts_or_problem,
)
from studio.library.adapters.importing import import_folder, import_path
from studio.library.adapters.lineage import children, in_library, origin, record_made
from studio.library.adapters.shelf import (
    add,
    annotate,
    delete,
    deleted,
    find,
    listing,
    rename,
    restore,
)

__all__ = [
    "FACTS_FILE",
    "AdapterFacts",
    "BaseMissing",
    "BaseTold",
    "Made",
    "Origin",
    "add",
    "annotate",
    "base_of",
    "children",
    "delete",
    "deleted",
    "differences",
    "facts",
    "facts_or_problem",
    "find",
    "import_folder",
    "import_path",
    "in_library",
    "listing",
    "locate",
    "origin",
    "record_made",
    "rename",
    "restore",
    "told",
    "trained_elsewhere",
]
