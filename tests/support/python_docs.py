"""Questions on Python's own functions, answered by their documentation: free text that is there
wherever Python is. `python -m tests.support.python_docs rows.jsonl` writes about 650 rows."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MODULES = """
json pathlib shutil subprocess statistics textwrap collections itertools functools random datetime
calendar csv zipfile tarfile logging argparse string difflib heapq bisect copy pprint glob fnmatch
tempfile os.path math urllib.parse email.message html socket threading queue sched asyncio unittest
decimal fractions locale ast inspect dis pickle struct configparser hashlib secrets shelve sqlite3
gzip bz2 lzma
"""
SHORTEST, LONGEST = 40, 300


def rows() -> Iterator[dict[str, str]]:
    """One row for each first paragraph of a documentation, none twice."""
    seen: set[str] = set()
    for name in MODULES.split():
        for key, thing in sorted(vars(importlib.import_module(name)).items()):
            if key.startswith("_") or not callable(thing):
                continue
            said = re.sub(r"\s+", " ", (inspect.getdoc(thing) or "").split("\n\n")[0]).strip()
            if SHORTEST <= len(said) <= LONGEST and said not in seen:
                seen.add(said)
                yield {"prompt": f"What does {name}.{key} do?", "completion": said}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
