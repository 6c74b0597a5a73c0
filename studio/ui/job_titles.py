"""What jobs that are no runs are called: nobody gave them a name."""

from __future__ import annotations

TITLES = {
    "chat": "Chat",
    "merge": "Merging an adapter",
    "mix": "Mixing adapters",
    "export": "Exporting a model",
    "import": "Importing a model",
    "score": "Scoring",
    "measure": "Measuring",
    "serve": "Serving a model",
    "probe": "Looking for cards",
}
